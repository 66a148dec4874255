package webhooks

import (
	"context"
	"log/slog"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
)

// checkpoint is the progress of dispatching a log: everything up to Read, but for the
// events that are Left.
type checkpoint struct {
	Log  string                    `json:"log"` // the identity of the log that the positions are of
	Read uint64                    `json:"read"`
	Left map[domain.Workspace]left `json:"left,omitempty"`
}

// left is a stretch of the events of a workspace.
type left struct {
	After uint64 `json:"after"`
	Until uint64 `json:"until"` // included
}

// How often the position is kept: while it moves, and as a sign of life while
// there is nothing to do.
const (
	keepEvery = 250 * time.Millisecond
	beatEvery = 10 * time.Second
)

// resume goes on from what was kept last.
func (d *dispatcher) resume(ctx context.Context) error {
	low, _, err := d.position(ctx, d.name)
	if err != nil {
		return err
	}
	var at checkpoint
	exact, err := d.config.Events.Checkpoint(ctx, d.checkpointName(), &at)
	if err != nil {
		return err
	}
	if !exact { // an earlier version kept this beside its position
		if at.Read, _, err = d.position(ctx, "webhooks-dispatched."+d.sort); err != nil {
			return err
		}
	}
	lineage := d.config.Events.Lineage()
	head, err := d.head(ctx)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if exact { // else it was located already
		at.Read, _ = d.locate(lineage, at.Log, at.Read)
	}
	d.log, d.read = lineage.ID(), max(at.Read, low)
	if d.read > head {
		d.config.Log.WarnContext(ctx, "the log is shorter than what was dispatched to webhooks; going on at its end",
			slog.String("log", d.name), slog.Uint64("dispatched", d.read), slog.Uint64("head", head))
		d.read = head
	}
	for w, of := range at.Left {
		until, _ := d.locate(lineage, at.Log, min(of.Until, d.read))
		q := &eventQueue{workspace: w, done: max(of.After, low), until: until, last: until}
		if q.until > q.done {
			d.queues[w] = q
			d.working.Go(func() { d.serve(ctx, q) })
		}
	}
	d.progress = d.config.Now()
	return nil
}

func (d *dispatcher) checkpointName() string { return "webhooks-checkpoint." + d.sort }

// keep keeps what is dispatched, until ctx ends: at once when something was, so
// that little is sent twice after a kill.
func (d *dispatcher) keep(ctx context.Context) {
	position := time.NewTicker(keepEvery)
	defer position.Stop()
	var kept uint64
	var beat time.Time
	for {
		var err error
		select {
		case <-d.dirty:
			err = d.save(ctx, false)
		case <-position.C:
			now := d.config.Now()
			low := d.low()
			if low == kept && (now.Sub(beat) < beatEvery || !d.idle(ctx)) {
				continue
			}
			if err = d.config.Events.SavePosition(ctx, d.name, d.log, low); err == nil {
				kept, beat = low, now
			}
		case <-ctx.Done():
			return
		}
		if err != nil && ctx.Err() == nil {
			d.config.Log.WarnContext(ctx, "it was not kept what is dispatched to webhooks; trying again", slog.String("log", d.name), slog.Any("err", err))
			streams.Wait(ctx, time.Second)
			d.mu.Lock()
			d.mark()
			d.mu.Unlock()
		}
	}
}

// save stores the checkpoint, and the position with it when nothing follows.
func (d *dispatcher) save(ctx context.Context, last bool) error {
	d.mu.Lock()
	at := checkpoint{Log: d.log, Read: d.read, Left: map[domain.Workspace]left{}}
	for w, q := range d.queues {
		if q.last > q.done {
			at.Left[w] = left{After: q.done, Until: q.last}
		}
	}
	d.mu.Unlock()
	if err := d.config.Events.SaveCheckpoint(ctx, d.checkpointName(), at); err != nil || !last {
		return err
	}
	return d.config.Events.SavePosition(ctx, d.name, d.log, d.low())
}

// low returns the position up to which every event of every workspace is
// dispatched.
func (d *dispatcher) low() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	low := d.read
	for _, q := range d.queues {
		if q.last > q.done {
			low = min(low, q.done)
		}
	}
	return low
}

// idle reports whether everything that is in the log is dispatched.
func (d *dispatcher) idle(ctx context.Context) bool {
	head, err := d.head(ctx)
	return err == nil && d.low() >= head
}
