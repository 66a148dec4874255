package eventstore

import (
	"context"
	"errors"
	"sync"

	"github.com/seed677028b5/integrations/streams"
)

// ErrOtherLog ends the reading of a log that has been replaced. The reader must find its
// new position with Locate.
var ErrOtherLog = errors.New("the log was replaced: it was restored, or a loss was accepted")

// reading tracks all active readers of the log.
type reading struct {
	mu   sync.Mutex
	next int
	all  map[int]context.CancelCauseFunc
	end  context.CancelFunc // ends the watch of the lineage
}

// startReading returns a context that ends when the log is replaced, and a function that
// must be called at the end. While there are readers, the lineage is watched.
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
		go s.watchLineage(looking)
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

// watchLineage reads the lineage periodically.
func (s *Store) watchLineage(ctx context.Context) {
	for streams.Wait(ctx, guardEvery) {
		_, _, _ = s.readLineage(ctx) // retried
	}
}

// setLineage records the lineage, and ends all reading when the log was replaced.
func (s *Store) setLineage(l Lineage) {
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
