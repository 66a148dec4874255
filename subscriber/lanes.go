package subscriber

import (
	"context"
	"log/slog"
	"sync"

	"github.com/seed677028b5/integrations/domain"
)

// A handler handles one event once.
type handler func(context.Context, Event) error

// lanes have events handled: those of one integration one after the other,
// those of several at once.
type lanes struct {
	config  Config
	handle  handler
	done    func(position uint64)
	slots   chan struct{} // one for each that is being handled; a pause takes none
	working sync.WaitGroup

	mu      sync.Mutex
	waiting map[owner][]Event // behind the one that is being handled; no entry: none is
}

// owner tells integrations of all workspaces apart.
type owner struct {
	workspace domain.Workspace
	id        domain.ID
}

func newLanes(c Config, handle handler, done func(uint64)) *lanes {
	return &lanes{config: c, handle: handle, done: done, slots: make(chan struct{}, c.AtOnce), waiting: map[owner][]Event{}}
}

// put has e handled after what came before it in its lane.
func (l *lanes) put(ctx context.Context, e Event) {
	lane := owner{e.Workspace, e.ID}
	if l.config.AtOnce == 1 {
		lane = owner{} // one for all, so in the order of the log
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if behind, busy := l.waiting[lane]; busy {
		l.waiting[lane] = append(behind, e)
		return
	}
	l.waiting[lane] = nil
	l.working.Go(func() {
		for ok := true; ok && l.handled(ctx, e); {
			l.done(e.Position)
			e, ok = l.next(lane)
		}
	})
}

// next returns what waits in a lane. When nothing does, the lane ends.
func (l *lanes) next(lane owner) (Event, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	behind := l.waiting[lane]
	if len(behind) == 0 {
		delete(l.waiting, lane)
		return Event{}, false
	}
	l.waiting[lane] = behind[1:]
	return behind[0], true
}

// handled has e handled, again and again until that succeeds. It reports
// whether it did before ctx ended.
func (l *lanes) handled(ctx context.Context, e Event) bool {
	for pause := l.config.Pause.First; ctx.Err() == nil; pause = min(2*pause, l.config.Pause.Longest) {
		select {
		case l.slots <- struct{}{}:
		case <-ctx.Done():
			return false
		}
		err := l.handle(ctx, e)
		<-l.slots
		if err == nil {
			return true
		}
		if ctx.Err() == nil {
			l.config.Log.WarnContext(ctx, "an event was not handled; trying again", slog.String("workspace_id", string(e.Workspace)),
				slog.String("integration_id", string(e.ID)), slog.Uint64("position", e.Position), slog.Duration("pause", pause), slog.Any("err", err))
		}
		wait(ctx, pause)
	}
	return false
}

// wait returns once nothing is being handled any more.
func (l *lanes) wait() { l.working.Wait() }
