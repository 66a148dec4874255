package subscriber

import (
	"context"
	"log/slog"
	"sync"

	"github.com/seed677028b5/integrations/domain"
)

// A handler handles one event once.
type handler func(context.Context, Event) error

// partitions handle events in a queue for each integration: those of one integration in
// sequence, those of several concurrently.
type partitions struct {
	config  Config
	handle  handler
	done    func(position uint64)
	slots   chan struct{} // one for each running handler; a pause takes none
	working sync.WaitGroup

	mu      sync.Mutex
	waiting map[domain.Ref][]Event // by integration, behind the running event; no entry: none is running
}

func newPartitions(c Config, handle handler, done func(uint64)) *partitions {
	return &partitions{config: c, handle: handle, done: done, slots: make(chan struct{}, c.AtOnce), waiting: map[domain.Ref][]Event{}}
}

// put handles e after the earlier events in its queue.
func (p *partitions) put(ctx context.Context, e Event) {
	key := e.Ref()
	if p.config.AtOnce == 1 {
		key = domain.Ref{} // one queue for all, so in log order
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if behind, busy := p.waiting[key]; busy {
		p.waiting[key] = append(behind, e)
		return
	}
	p.waiting[key] = nil
	p.working.Go(func() {
		for ok := true; ok && p.handled(ctx, e); {
			p.done(e.Position)
			e, ok = p.next(key)
		}
	})
}

// next returns the next event of a queue. When there is none, the queue ends.
func (p *partitions) next(key domain.Ref) (Event, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	behind := p.waiting[key]
	if len(behind) == 0 {
		delete(p.waiting, key)
		return Event{}, false
	}
	p.waiting[key] = behind[1:]
	return behind[0], true
}

// handled handles e repeatedly until that succeeds. It reports whether it did before ctx ended.
func (p *partitions) handled(ctx context.Context, e Event) bool {
	for pause := p.config.Pause.First; ctx.Err() == nil; pause = min(2*pause, p.config.Pause.Longest) {
		select {
		case p.slots <- struct{}{}:
		case <-ctx.Done():
			return false
		}
		err := p.handle(ctx, e)
		<-p.slots
		if err == nil {
			return true
		}
		if ctx.Err() == nil {
			p.config.Log.WarnContext(ctx, "handling an event failed; retrying", slog.String("workspace_id", string(e.Workspace)),
				slog.String("integration_id", string(e.ID)), slog.Uint64("position", e.Position), slog.Duration("pause", pause), slog.Any("err", err))
		}
		wait(ctx, pause)
	}
	return false
}

// wait waits until no handler runs.
func (p *partitions) wait() { p.working.Wait() }
