package health

import (
	"context"
	"errors"
	"sync"
	"time"
)

// turns lets some go on at once, and fewer of each workspace, so that upstreams
// that hang cost their own workspace only. Within a workspace those who came
// first go first.
type turns struct {
	all  chan struct{}
	each int

	mu sync.Mutex
	of map[string]*turnsOf // a workspace of which nobody is here has none
}

type turnsOf struct {
	slots chan struct{}
	here  int // those who wait, and those who go on
}

// mostHere bounds those of one workspace who wait and go on.
const mostHere = 512

// errFull says that too many of a workspace wait already.
var errFull = errors.New("too many of this workspace wait already")

func newTurns(all, each int) *turns {
	return &turns{all: make(chan struct{}, all), each: each, of: map[string]*turnsOf{}}
}

// take waits for a turn, and returns what ends it. From time to time meanwhile it
// says that somebody waits. It fails with errFull, or when ctx ends.
func (t *turns) take(ctx context.Context, workspace string, waits func()) (end func(), err error) {
	own, err := t.come(workspace)
	if err != nil {
		return nil, err
	}
	if !pass(ctx, own.slots, waits) {
		t.leave(workspace)
		return nil, ctx.Err()
	}
	if !pass(ctx, t.all, waits) {
		<-own.slots
		t.leave(workspace)
		return nil, ctx.Err()
	}
	return func() { <-t.all; <-own.slots; t.leave(workspace) }, nil
}

// pass waits for a slot, and reports whether there was one before ctx ended.
func pass(ctx context.Context, slots chan<- struct{}, waits func()) bool {
	beat := time.NewTicker(takenFor / 3)
	defer beat.Stop()
	for {
		select {
		case slots <- struct{}{}:
			return true
		case <-beat.C:
			waits()
		case <-ctx.Done():
			return false
		}
	}
}

func (t *turns) come(workspace string) (*turnsOf, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.of[workspace]
	if own == nil {
		own = &turnsOf{slots: make(chan struct{}, t.each)}
		t.of[workspace] = own
	}
	if own.here == mostHere {
		return nil, errFull
	}
	own.here++
	return own, nil
}

func (t *turns) leave(workspace string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.of[workspace]
	if own.here--; own.here == 0 {
		delete(t.of, workspace)
	}
}
