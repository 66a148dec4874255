package webhooks

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/streams"
)

// A webhook is settled once it is delivered, dead or no longer wanted. JetStream
// syncs each delete to disk by itself, which bounds how many webhooks a second can be
// settled. So webhooks that are settled at the same time are listed in one message
// on the same stream, the settlement, and removed later, many at once.
const (
	settledSubject = pendingPrefix + "-.-.settled" // no workspace is called "-"
	settledHeader  = "Webhooks-Settled"            // sequences, separated by commas
	maxSettled     = 512                           // in one message
)

// settle returns once it is on disk that the webhook at a sequence is settled.
func (d *deliverer) settle(ctx context.Context, sequence uint64) error {
	s := settlement{sequence, make(chan error, 1)}
	select {
	case d.settlements <- s:
	case <-ctx.Done():
		return fmt.Errorf("settle a webhook: %w", ctx.Err())
	}
	select {
	case err := <-s.outcome:
		return err
	case <-ctx.Done():
		return fmt.Errorf("settle a webhook: %w", ctx.Err())
	}
}

// settleAll settles webhooks until there are no more: those that wait while the ones
// before are written become one message.
func (d *deliverer) settleAll(ctx context.Context) {
	for first := range d.settlements {
		batch := []settlement{first}
		for more := true; more && len(batch) < maxSettled; {
			select {
			case next, open := <-d.settlements:
				if more = open; open {
					batch = append(batch, next)
				}
			default:
				more = false
			}
		}
		request, cancel := context.WithTimeout(ctx, requestTime)
		d.settleBatch(request, batch)
		cancel()
	}
}

// settleBatch settles webhooks together. One alone is deleted at once: that takes as
// long as a message about it. So is each where too many wait to be removed.
func (d *deliverer) settleBatch(ctx context.Context, batch []settlement) {
	if len(batch) == 1 || d.unremoved() >= maxUnremoved {
		for _, s := range batch {
			s.outcome <- streams.Delete(ctx, d.js, d.pending, s.sequence)
		}
		return
	}
	sequences := make([]uint64, len(batch))
	for n, s := range batch {
		sequences[n] = s.sequence
	}
	_, err := d.js.PublishMsg(ctx, &nats.Msg{Subject: settledSubject, Header: nats.Header{settledHeader: {formatSequences(sequences)}}})
	if err == nil {
		d.mu.Lock()
		for _, sequence := range sequences {
			d.markSettled(sequence)
		}
		d.mu.Unlock()
	}
	for _, s := range batch {
		s.outcome <- err
	}
}

// settledBefore returns the sequences that the settlements on the stream list. The
// deliverer asks before it reads the stream: a settlement is behind the webhooks
// that it lists.
func (d *deliverer) settledBefore(ctx context.Context) (map[uint64]bool, error) {
	settled := map[uint64]bool{}
	for from := uint64(1); ; {
		msg, err := streams.NextFromLeader(ctx, d.nc, pendingName, settledSubject, from)
		if err != nil {
			return nil, unavailable(err, "read settled webhooks")
		}
		if msg == nil {
			return settled, nil
		}
		for _, sequence := range parseSequences(msg.Header.Get(settledHeader)) {
			settled[sequence] = true
		}
		from = msg.Sequence + 1
	}
}

// readSettlement notes what a settlement lists, and that it can be removed itself.
func (d *deliverer) readSettlement(sequence uint64, stored time.Time, list string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.furthest = sequence
	for _, settled := range parseSequences(list) {
		d.markSettled(settled)
	}
	d.removal.settled[sequence] = stored
}

// settledElsewhere reports whether a settlement lists a webhook that waits here: one
// of the process that delivered before.
func (d *deliverer) settledElsewhere(sequence uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.isSettled(sequence, d.known[sequence])
}

func formatSequences(all []uint64) string {
	texts := make([]string, len(all))
	for n, sequence := range all {
		texts[n] = strconv.FormatUint(sequence, 10)
	}
	return strings.Join(texts, ",")
}

// parseSequences leaves out what is not a number: that webhook is sent again under
// the same id.
func parseSequences(list string) []uint64 {
	var all []uint64
	for text := range strings.SplitSeq(list, ",") {
		if sequence, err := strconv.ParseUint(text, 10, 64); err == nil {
			all = append(all, sequence)
		}
	}
	return all
}

// isSettlement reports whether a message lists settled webhooks, and is none itself.
func isSettlement(msg jetstream.Msg) bool { return msg.Subject() == settledSubject }
