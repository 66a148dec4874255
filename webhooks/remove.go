package webhooks

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/seed677028b5/integrations/streams"
)

const (
	removeEvery  = 250 * time.Millisecond
	maxUnremoved = 20_000 // settled webhooks and settlements on the stream
	maxGaps      = 64     // deleted stretches that are asked for in one go
	maxDeletes   = 64     // single messages that are removed in one go
)

// unremoved returns how much waits to be removed.
func (d *deliverer) unremoved() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.removal.settled)
}

// markSettled notes that the webhook at a sequence is settled. The lock is held.
func (d *deliverer) markSettled(sequence uint64) {
	if _, noted := d.removal.settled[sequence]; !noted {
		d.removal.settled[sequence] = d.known[sequence]
	}
}

// isSettled reports whether the message that was stored at a sequence at a time is
// settled, and not another that has its sequence because the stream lost its end.
// The lock is held.
func (d *deliverer) isSettled(sequence uint64, stored time.Time) bool {
	was, noted := d.removal.settled[sequence]
	if !noted {
		return false
	}
	if was.IsZero() || was.Equal(stored) {
		d.removal.settled[sequence] = stored
		return true
	}
	delete(d.removal.settled, sequence)
	return false
}

// removeAll removes what is settled every now and then, until ctx ends.
func (d *deliverer) removeAll(ctx context.Context) {
	tick := time.NewTicker(removeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if d.unremoved() == 0 {
			continue
		}
		pass, cancel := context.WithTimeout(ctx, requestTime)
		err := d.remove(pass)
		cancel()
		if err != nil && ctx.Err() == nil {
			d.config.Log.WarnContext(ctx, "settled webhooks were not removed from the stream; trying again", slog.Any("err", err))
			streams.Wait(ctx, time.Second)
		}
	}
}

// remove removes everything below the low watermark in one request. Where a pending
// webhook holds the watermark back, it deletes some of what is settled above.
func (d *deliverer) remove(ctx context.Context) error {
	if err := d.raise(ctx); err != nil {
		return err
	}
	below, above, heldUp := d.removable()
	if len(below) > 0 {
		last := below[len(below)-1]
		same, err := d.isStill(ctx, last)
		if err != nil || !same {
			return err
		}
		if err := streams.PurgeUpTo(ctx, d.pending, pendingPrefix+">", last); err != nil {
			return err
		}
		d.removed(below...)
	}
	if !heldUp {
		return nil
	}
	for _, sequence := range above[:min(len(above), maxDeletes)] { // a settlement goes after what it lists
		if same, err := d.isStill(ctx, sequence); err != nil || !same {
			return err
		}
		if err := streams.Delete(ctx, d.js, d.pending, sequence); err != nil {
			return err
		}
		d.removed(sequence)
	}
	return nil
}

// raise moves the low watermark up: over settled webhooks, and over sequences that
// the leader of the stream no longer has a message for. It never takes a message that
// has not been read for one that is gone.
func (d *deliverer) raise(ctx context.Context) error {
	for range maxGaps {
		d.mu.Lock()
		for {
			if _, settled := d.removal.settled[d.removal.low+1]; !settled {
				break
			}
			d.removal.low++
		}
		low := d.removal.low
		_, pending := d.known[low+1]
		d.mu.Unlock()
		if pending {
			return nil
		}
		next, err := streams.NextFromLeader(ctx, d.nc, pendingName, pendingPrefix+">", low+1)
		if err != nil || next == nil || next.Sequence == low+1 {
			return err
		}
		d.mu.Lock()
		d.removal.low = next.Sequence - 1
		d.mu.Unlock()
	}
	return nil
}

// removable returns the sequences that can be removed, in order, below and above the
// low watermark, and whether one pending webhook has held it back since the last call.
func (d *deliverer) removable() (below, above []uint64, heldUp bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, sequence := range slices.Sorted(maps.Keys(d.removal.settled)) {
		switch stored := d.removal.settled[sequence]; {
		case stored.IsZero() && sequence < d.furthest: // a settlement lists it, and it was removed before
			delete(d.removal.settled, sequence)
		case stored.IsZero(): // it is still to be read
		case sequence <= d.removal.low:
			below = append(below, sequence)
		default:
			above = append(above, sequence)
		}
	}
	heldUp = len(above) > 0 && d.removal.heldUp == d.removal.low+1
	d.removal.heldUp = d.removal.low + 1
	return below, above, heldUp
}

// isStill reports whether the leader has, at a sequence, the message that was settled.
// If it has none or another, the message was removed otherwise, or the stream lost
// its end: nothing is removed on what was known of it.
func (d *deliverer) isStill(ctx context.Context, sequence uint64) (bool, error) {
	msg, err := streams.FromLeader(ctx, d.nc, pendingName, sequence)
	if err != nil {
		return false, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if msg != nil && msg.Time.Equal(d.removal.settled[sequence]) {
		return true, nil
	}
	delete(d.removal.settled, sequence)
	d.removal.low = 0
	return false, nil
}

func (d *deliverer) removed(sequences ...uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, sequence := range sequences {
		delete(d.removal.settled, sequence)
	}
}
