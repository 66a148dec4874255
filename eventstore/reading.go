package eventstore

import (
	"context"
	"errors"
	"sync"
)

// ErrOtherLog ends the reading of a log that has been replaced. The reader must find its
// new position with Locate.
var ErrOtherLog = errors.New("the log was replaced: it was restored, or a loss was accepted")

// reading tracks all active readers of the log.
type reading struct {
	mu   sync.Mutex
	next int
	all  map[int]context.CancelCauseFunc
	end  context.CancelFunc // ends watch
}

// start returns a context that ends with endAll, and a function that must be called at
// the end. While there are readers, watch runs.
func (r *reading) start(ctx context.Context, watch func(context.Context)) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[int]context.CancelCauseFunc{}
	}
	if len(r.all) == 0 {
		var watching context.Context
		watching, r.end = context.WithCancel(context.WithoutCancel(ctx))
		go watch(watching)
	}
	r.next++
	id := r.next
	r.all[id] = cancel
	return ctx, func() {
		cancel(nil)
		r.mu.Lock()
		defer r.mu.Unlock()
		if delete(r.all, id); len(r.all) == 0 {
			r.end()
		}
	}
}

// endAll ends all reading with a cause.
func (r *reading) endAll(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, end := range r.all {
		end(cause)
	}
}
