package webhooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
)

// read returns the message at a sequence, and whether it is still there.
func (d *deliverer) read(ctx context.Context, in queueKey, sequence uint64, sought time.Time) (m message, found bool, err error) {
	raw, err := d.pending.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return m, false, d.deleted(ctx, sequence, sought)
	}
	if err == nil {
		if of, _ := queueOf(raw.Subject); of != in { // the stream lost its end; this is another webhook
			return m, false, nil
		}
		err = json.Unmarshal(raw.Data, &m)
	}
	return m, err == nil, err
}

// deleted returns nil when a message that was not found is deleted. A leader that is
// behind just after its election does not find a message either: that is an error.
func (d *deliverer) deleted(ctx context.Context, sequence uint64, sought time.Time) error {
	stream, err := d.js.Stream(ctx, pendingName)
	if err != nil {
		return err
	}
	if last := stream.CachedInfo().State.LastSeq; last < sequence && d.config.Now().Sub(sought) < answersWithin {
		return fmt.Errorf("the leader of %s is at %d, not yet at %d", pendingName, last, sequence)
	}
	return nil
}

// answersWithin is how long a new leader may take to reach the sequence of the previous one.
const answersWithin = 30 * time.Second

// attemptsBefore returns the last attempt at a webhook before this process took
// over, so that the back-off continues from there.
func (d *deliverer) attemptsBefore(ctx context.Context, in queueKey, m message) Delivery {
	if m.EnqueuedAt.After(d.started) {
		return Delivery{}
	}
	all, _, _ := d.reading.Do(in.destinationKey(), func() (any, error) { // no error is returned
		d.mu.Lock()
		all, known := d.earlier[in.destinationKey()]
		d.mu.Unlock()
		if !known {
			all = d.lastFailed(ctx, in)
			d.mu.Lock()
			d.earlier[in.destinationKey()] = all
			d.mu.Unlock()
		}
		return all, nil
	})
	earlier, _ := all.(map[string]Delivery)
	return earlier[m.ID]
}

// lastFailed returns the last attempt at each webhook of a destination that
// failed, by its id.
func (d *deliverer) lastFailed(ctx context.Context, in queueKey) map[string]Delivery {
	all := map[string]Delivery{}
	records, err := d.records(ctx, logName, logPrefix+in.destinationKey())
	if err != nil {
		d.config.Log.WarnContext(ctx, "earlier attempts at webhooks can't be read; their back-off starts from the beginning", slog.String("destination_id", in.destination), slog.Any("err", err))
	}
	for _, r := range records {
		if r.Status == Failed {
			all[r.ID] = r.Delivery
		} else {
			delete(all, r.ID)
		}
	}
	return all
}

// comparison compares the pending webhooks on the stream with those in the queues.
type comparison struct {
	missed   int    // consecutive times that more was pending
	furthest uint64 // what was read then
}

// compare counts when the stream has more pending webhooks than the queues, and they
// are not just about to be read.
func (d *deliverer) compare(ctx context.Context, c *comparison) {
	standing := func() (known int, furthest uint64) {
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.known) + len(d.removal.settled), d.furthest
	}
	before, _ := standing()
	stream, err := d.js.Stream(ctx, pendingName)
	if err != nil {
		return
	}
	state := stream.CachedInfo().State
	known, furthest := standing()
	known = max(known, before)
	unread := state.LastSeq - min(state.LastSeq, furthest)
	if furthest == c.furthest { // none is being read
		unread = 0
	}
	if c.furthest = furthest; uint64(known)+unread < state.Msgs { //nolint:gosec // a count is not negative
		c.missed++
	} else {
		c.missed = 0
	}
}

// insist repeats do until it succeeds, and reports whether it did before ctx ended. A
// call that has started is given the time to end.
func (d *deliverer) insist(ctx context.Context, doing string, do func(context.Context) error) bool {
	for {
		once, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTime)
		err := do(once)
		cancel()
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		d.config.Log.WarnContext(ctx, "an operation on webhooks failed; trying again", slog.String("operation", doing), slog.Any("err", err))
		streams.Wait(ctx, time.Second)
	}
}

// lasting returns a context that ends a while after ctx.
func lasting(ctx context.Context, longer time.Duration) (context.Context, context.CancelFunc) {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		streams.Wait(later, longer)
		cancel()
	})
	return later, func() { stop(); cancel() }
}

// gone disables a destination that answered 410, unless it was changed since.
func (d *deliverer) gone(ctx context.Context, to entry) {
	next := to.destination.Disable("The receiver answered 410 Gone.", d.config.Now())
	if err := d.store(ctx, next, to.revision); err != nil {
		d.config.Log.WarnContext(ctx, "a webhook destination that is gone was not disabled", slog.String("destination_id", to.destination.ID), slog.Any("err", err))
		streams.Wait(ctx, d.config.First)
	}
}

// finish ends a delivery: it stores the dead letter if there is one, then settles the
// webhook before anything else, so that it is not sent again. It releases the permit
// first, because settling waits for others, not for the receiver.
func (d *deliverer) finish(ctx context.Context, p *permit, to domain.WebhookDestination, last Delivery, m message, sequence uint64) bool {
	whole := record{Delivery: last, Message: &m}
	if last.Status == Dead {
		if !d.insist(ctx, "keep a dead webhook", func(ctx context.Context) error {
			return d.publish(ctx, deadPrefix+keyOf(to.Workspace, to.ID), m.ID+m.EnqueuedAt.Format(time.RFC3339Nano), whole)
		}) {
			return false
		}
		whole.Message = nil // the dead letter has it
	}
	p.release()
	if !d.insist(ctx, "settle a webhook", func(ctx context.Context) error { return d.settle(ctx, sequence) }) {
		return false
	}
	d.noting <- struct{}{}
	d.note(ctx, to, whole)
	<-d.noting
	return true
}
