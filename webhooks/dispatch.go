package webhooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed677028b5/integrations/domain"
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

// How many events may wait in memory. A workspace with more reads the rest from
// the log itself, so that it delays no other.
const (
	maxWaitingEach = 256  // of one workspace
	maxWaiting     = 4096 // of all
)

// dispatcher reads one log and enqueues a delivery for every destination that
// wants an event: those of one workspace in the order of the log, those of
// several at once.
type dispatcher struct {
	*Webhooks
	topic
	working sync.WaitGroup
	dirty   chan struct{} // asks for a checkpoint

	mu       sync.Mutex
	log      string                           // the identity of the log that is read
	read     uint64                           // every event up to here was seen
	queues   map[domain.Workspace]*eventQueue // of the workspaces with events that are not dispatched yet
	waiting  int                              // events in all queues
	progress time.Time                        // when something was dispatched last, or nothing was left to dispatch
	skips    map[uint64]int                   // how often events were missing after a position
}

// eventQueue holds the events of a workspace that are to be dispatched.
type eventQueue struct {
	workspace domain.Workspace
	events    []eventstore.Commit
	done      uint64 // every event of the workspace up to here is dispatched
	until     uint64 // later than done: the events between are read from the log
	last      uint64 // the last event of the workspace that was seen
}

func newDispatcher(w *Webhooks, t topic) *dispatcher {
	return &dispatcher{
		Webhooks: w, topic: t, dirty: make(chan struct{}, 1), queues: map[domain.Workspace]*eventQueue{}, skips: map[uint64]int{},
	}
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
	for commits, err := range d.after(ctx, eventstore.Selection{}, read) {
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

// serve dispatches the events of a workspace until none is left or ctx ends.
func (d *dispatcher) serve(ctx context.Context, q *eventQueue) {
	for ctx.Err() == nil {
		events, behind := d.take(q)
		switch {
		case len(events) > 0:
			d.enqueue(ctx, q, events, events[len(events)-1].Position)
		case behind:
			if err := d.readUp(ctx, q); err != nil && ctx.Err() == nil {
				d.config.Log.WarnContext(ctx, "events can't be read for webhooks; trying again", slog.String("workspace_id", string(q.workspace)), slog.Any("err", err))
				streams.Wait(ctx, time.Second)
			}
		default:
			return
		}
	}
}

// take returns what waits in a queue, or whether there is more in the log. With
// neither, the queue ends.
func (d *dispatcher) take(q *eventQueue) (events []eventstore.Commit, behind bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	events, q.events = q.events, nil
	d.waiting -= len(events)
	behind = q.until > q.done
	if len(events) == 0 && !behind {
		delete(d.queues, q.workspace)
		d.progress = d.config.Now()
	}
	return events, behind
}

// readUp dispatches the events of a workspace that found no room in its queue.
func (d *dispatcher) readUp(ctx context.Context, q *eventQueue) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for commits, err := range d.after(ctx, eventstore.Selection{Workspace: q.workspace}, q.done) {
		if err != nil {
			return err
		}
		for len(commits) > 0 && ctx.Err() == nil {
			some := commits[:min(len(commits), maxWaitingEach)]
			commits = commits[len(some):]
			some, end := d.within(q, some)
			d.enqueue(ctx, q, some, end.position)
			if end.reached {
				return nil
			}
		}
	}
	return ctx.Err()
}

// endOf is the end of a range of events.
type endOf struct {
	position uint64
	reached  bool // the last event that found no room is within, or gone from the log
}

// within cuts events off after the last one that found no room.
func (d *dispatcher) within(q *eventQueue, events []eventstore.Commit) ([]eventstore.Commit, endOf) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for n, c := range events {
		switch {
		case c.Position == q.until:
			return events[:n+1], endOf{q.until, true}
		case c.Position > q.until:
			return events[:n], endOf{q.until, true}
		}
	}
	return events, endOf{position: events[len(events)-1].Position}
}
