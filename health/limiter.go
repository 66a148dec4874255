package health

import (
	"context"
	"errors"
	"sync"
	"time"
)

// limiter bounds concurrent work in total and per workspace, so that hanging upstreams
// delay only their own workspace. It is first in, first out within a workspace.
type limiter struct {
	all  chan struct{}
	each int

	mu sync.Mutex
	of map[string]*workspaceLimit // workspaces with work only
}

type workspaceLimit struct {
	slots chan struct{}
	count int // waiting and running
}

// maxPerWorkspace bounds the work of one workspace that waits or runs.
const maxPerWorkspace = 512

// errFull means that too much work of a workspace is waiting already.
var errFull = errors.New("too many probes of this workspace are waiting")

func newLimiter(all, each int) *limiter {
	return &limiter{all: make(chan struct{}, all), each: each, of: map[string]*workspaceLimit{}}
}

// acquire waits for a slot, and returns a function that releases it. While it waits it
// calls heartbeat periodically. It fails with errFull, or when ctx ends.
func (l *limiter) acquire(ctx context.Context, workspace string, heartbeat func()) (release func(), err error) {
	own, err := l.enter(workspace)
	if err != nil {
		return nil, err
	}
	if !await(ctx, own.slots, heartbeat) {
		l.leave(workspace)
		return nil, ctx.Err()
	}
	if !await(ctx, l.all, heartbeat) {
		<-own.slots
		l.leave(workspace)
		return nil, ctx.Err()
	}
	return func() { <-l.all; <-own.slots; l.leave(workspace) }, nil
}

// await waits for a slot, and reports whether it got one before ctx ended.
func await(ctx context.Context, slots chan<- struct{}, heartbeat func()) bool {
	beat := time.NewTicker(takenFor / 3)
	defer beat.Stop()
	for {
		select {
		case slots <- struct{}{}:
			return true
		case <-beat.C:
			heartbeat()
		case <-ctx.Done():
			return false
		}
	}
}

func (l *limiter) enter(workspace string) (*workspaceLimit, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.of[workspace]
	if own == nil {
		own = &workspaceLimit{slots: make(chan struct{}, l.each)}
		l.of[workspace] = own
	}
	if own.count == maxPerWorkspace {
		return nil, errFull
	}
	own.count++
	return own, nil
}

func (l *limiter) leave(workspace string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.of[workspace]
	if own.count--; own.count == 0 {
		delete(l.of, workspace)
	}
}
