package subscriber

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// A handler handles one event once.
type handler func(context.Context, Event) error

// queues handle events: those of one integration in order, those of several at once.
type queues struct {
	config  Config
	handle  handler
	done    func(position uint64)
	slots   chan struct{} // one for each event that is being handled; a pause needs none
	working sync.WaitGroup

	mu      sync.Mutex
	waiting map[domain.Ref][]eventstore.Commit // behind the event that is being handled; no entry: none is
}

func newQueues(c Config, handle handler, done func(uint64)) *queues {
	return &queues{config: c, handle: handle, done: done, slots: make(chan struct{}, c.Concurrency), waiting: map[domain.Ref][]eventstore.Commit{}}
}

// put adds an event to the queue of its integration.
func (q *queues) put(ctx context.Context, c eventstore.Commit) {
	key := c.Ref()
	if q.config.Concurrency == 1 {
		key = domain.Ref{} // one queue for all, in the order of the log
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if behind, busy := q.waiting[key]; busy {
		q.waiting[key] = append(behind, c)
		return
	}
	q.waiting[key] = nil
	q.working.Go(func() {
		for ok := true; ok && q.handled(ctx, c); {
			q.done(c.Position)
			c, ok = q.next(key)
		}
	})
}

// next takes an event from a queue, and removes an empty queue.
func (q *queues) next(key domain.Ref) (eventstore.Commit, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	behind := q.waiting[key]
	if len(behind) == 0 {
		delete(q.waiting, key)
		return eventstore.Commit{}, false
	}
	q.waiting[key] = behind[1:]
	return behind[0], true
}

// handled handles an event, with retries until the handler succeeds. It returns false
// when ctx ends before.
func (q *queues) handled(ctx context.Context, c eventstore.Commit) bool {
	e := newEvent(c)
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		select {
		case q.slots <- struct{}{}:
			defer func() { <-q.slots }()
			return struct{}{}, q.handle(ctx, e)
		case <-ctx.Done():
			return struct{}{}, ctx.Err()
		}
	}, backoff.WithBackOff(q.config.Pause.backoff()), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, pause time.Duration) {
		if ctx.Err() == nil {
			q.config.Log.WarnContext(ctx, "an event was not handled; trying again", slog.String("workspace_id", e.Workspace),
				slog.String("integration_id", e.Integration), slog.Uint64("position", e.Position), slog.Duration("pause", pause), slog.Any("err", err))
		}
	}))
	return err == nil
}

// wait returns once no event is being handled.
func (q *queues) wait() { q.working.Wait() }
