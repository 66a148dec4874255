package webhooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/streams"
)

// dispatch turns the events of both logs into deliveries, until ctx ends. Of all
// processes that call it, one does for each log.
func (w *Webhooks) dispatch(ctx context.Context) error {
	var running errgroup.Group
	for _, t := range w.topics() {
		running.Go(func() error {
			for ctx.Err() == nil {
				err := w.config.Events.Lead(ctx, t.name, func(ctx context.Context) error {
					return newDispatcher(w, t).run(ctx)
				})
				if ctx.Err() == nil {
					w.config.Log.WarnContext(ctx, "webhooks are not dispatched; trying again", slog.String("log", t.name), slog.Any("err", err))
					streams.Wait(ctx, time.Second)
				}
			}
			return nil
		})
	}
	return running.Wait()
}

// run dispatches until ctx ends. After a failure to read the log it continues from
// the last position.
func (d *dispatcher) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := d.resume(ctx); err != nil {
		return err
	}
	d.working.Go(func() { d.keep(ctx) })
	for ctx.Err() == nil {
		err := d.follow(ctx)
		if errors.Is(err, eventstore.ErrOtherLog) { // another dispatcher finds out where to go on
			cancel()
			d.working.Wait()
			return errors.Join(err, d.save(context.WithoutCancel(ctx), true))
		}
		if ctx.Err() == nil {
			d.config.Log.WarnContext(ctx, "events can't be read for webhooks; trying again", slog.String("log", d.name), slog.Any("err", err))
			streams.Wait(ctx, time.Second)
		}
	}
	d.working.Wait()
	return d.save(context.WithoutCancel(ctx), true)
}

// follow hands events to the queues of their workspaces until reading fails.
func (d *dispatcher) follow(ctx context.Context) error {
	d.mu.Lock()
	read := d.read
	d.mu.Unlock()
	for commits, err := range d.after(ctx, eventstore.Selection{Authorizations: true}, read) {
		if err == nil {
			err = d.catchUp(ctx) // so that no destination older than the events is missed
		}
		if err == nil {
			err = d.hand(ctx, commits)
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// hand puts events into the queues of the workspaces that have destinations.
func (d *dispatcher) hand(ctx context.Context, commits []eventstore.Commit) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range commits {
		if c.Position <= d.read {
			continue
		}
		if err := d.missing(ctx, c.Position); err != nil {
			return err
		}
		if d.hasEnabled(c.Workspace) {
			d.put(ctx, c)
		}
		d.read = c.Position
	}
	return nil
}

// believed is how often the log must lack the same events before they are taken
// for lost: a replica that was behind or damaged lacks them for a while only.
const believed = 10

// missing refuses an event that does not follow the one before it, while another
// reading may find those between.
func (d *dispatcher) missing(ctx context.Context, position uint64) error {
	if d.gaps || position == d.read+1 {
		clear(d.skips)
		return nil
	}
	d.skips[d.read]++
	if d.skips[d.read] < believed {
		return fmt.Errorf("position %d follows %d: the events between are missing", position, d.read)
	}
	d.config.Log.ErrorContext(ctx, "events are missing from the log; no webhooks are sent for them", slog.Uint64("after", d.read), slog.Uint64("before", position))
	clear(d.skips)
	return nil
}

// put adds an event to the queue of its workspace. The lock is held.
func (d *dispatcher) put(ctx context.Context, c eventstore.Commit) {
	q := d.queues[c.Workspace]
	if q == nil {
		q = &eventQueue{workspace: c.Workspace, done: c.Position - 1}
		d.queues[c.Workspace] = q
		d.working.Go(func() { d.serve(ctx, q) })
	}
	q.last = c.Position
	if q.until > q.done || len(q.events) == maxWaitingEach || d.waiting >= maxWaiting {
		q.until = c.Position
		return
	}
	q.events = append(q.events, c)
	d.waiting++
}
