package eventstore

import (
	"context"
	"errors"
	"sync"
)

// ErrOtherLog ends the reading of a log that is another one now. Who goes on has to
// find out where, by Locate.
var ErrOtherLog = errors.New("the log is another one than before: it was restored, or a loss was accepted")

// reading is all reading of the log that goes on.
type reading struct {
	mu   sync.Mutex
	next int
	all  map[int]context.CancelCauseFunc
	end  context.CancelFunc // of looking which log it is
}

// startReading returns a context that ends when the log is another one, and a function that
// has to be called at the end. While anybody reads, it is looked which log this is.
func (s *Store) startReading(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	r := &s.reading
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[int]context.CancelCauseFunc{}
	}
	if len(r.all) == 0 {
		var looking context.Context
		looking, r.end = context.WithCancel(context.WithoutCancel(ctx))
		go s.look(looking)
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

// look reads again and again which log this is.
func (s *Store) look(ctx context.Context) {
	for pause(ctx, guardEvery) {
		_, _, _ = s.readLineage(ctx) // tried again
	}
}

// learn notes which log this is, and ends all reading when it is another one.
func (s *Store) learn(l Lineage) {
	before := s.lineage.Swap(&l)
	if before == nil || before.ID() == l.ID() {
		return
	}
	s.reading.mu.Lock()
	defer s.reading.mu.Unlock()
	for _, end := range s.reading.all {
		end(ErrOtherLog)
	}
}
