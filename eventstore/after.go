package eventstore

import (
	"context"
	"errors"
	"iter"
	"time"
)

// After yields every event after a position in log order, first history and then live
// until ctx ends, without gaps or duplicates. A batch has the events that are ready, at
// least one. An error ends the sequence; calling After again with the last position
// continues from there. ErrOtherLog means that the position is of an earlier log.
//
// While nobody else can append, and nothing is missing, it yields what this process has appended
// from memory.
func (s *Store) After(ctx context.Context, position uint64) iter.Seq2[[]Commit, error] {
	return s.eventsAfter(ctx, Selection{Authorizations: true}, nil, position)
}

// AfterIn is After for the selected events only.
func (s *Store) AfterIn(ctx context.Context, of Selection, position uint64) iter.Seq2[[]Commit, error] {
	return s.eventsAfter(ctx, of, of.logFilters(), position)
}

func (s *Store) eventsAfter(ctx context.Context, of Selection, filter []string, position uint64) iter.Seq2[[]Commit, error] {
	return func(yield func([]Commit, error) bool) {
		reading, end := s.startReading(ctx) // until the end, so that no part of it misses that the log is another one
		defer end()
		ended := false
		pass := func(commits []Commit, err error) bool {
			ended = !yield(commits, err) || err != nil
			return !ended
		}
		remembered := func(last, pending uint64) bool {
			position = last
			return s.keepsEventsAfter(reading, last, pending)
		}
		for reading.Err() == nil {
			s.keptEventsAfter(reading, of, &position, pass)
			if ended || reading.Err() != nil {
				break
			}
			for commits, err := range s.tailUntil(reading, logName, filter, position, remembered) {
				if !pass(commits, err) {
					return
				}
			}
		}
		if !ended && errors.Is(context.Cause(reading), ErrOtherLog) {
			yield(nil, ErrOtherLog)
		}
	}
}

// keepsEventsAfter reports whether the events after a position that was read from the server need not
// be read from there. The server hands an event to readers before it acknowledges it.
func (s *Store) keepsEventsAfter(ctx context.Context, position, pending uint64) bool {
	var timeout <-chan time.Time
	for {
		now := s.era()
		whole, ahead := s.events.keeps(now, position)
		if ahead == nil || pending > 0 {
			return whole
		}
		if timeout == nil {
			timer := time.NewTimer(ackWait)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-ahead:
		case <-timeout:
			s.events.skip(now, position)
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// keptEventsAfter yields the selected events after a position from memory, as long as it has all. It
// leaves the position that it has read up to.
func (s *Store) keptEventsAfter(ctx context.Context, of Selection, position *uint64, yield func([]Commit, error) bool) {
	if whole, _ := s.events.keeps(s.era(), *position); !whole {
		return
	}
	check := time.NewTicker(checkKept)
	defer check.Stop()
	for idle := false; ctx.Err() == nil; {
		now, another := s.eraUntil()
		next, whole, added := s.events.after(now, *position, maxBatch)
		if !whole {
			return
		}
		if len(next) > 0 {
			idle = false
			last := next[len(next)-1].Position
			commits, err := s.openedOf(of, next)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(commits) > 0 && !yield(commits, nil) {
				return
			}
			*position = last
			continue
		}
		select {
		case <-added:
		case <-another:
		case <-ctx.Done():
		case <-check.C:
			if idle && s.events.check() && !s.endsAt(ctx, logName, *position) {
				s.events.lose() // an event is there whose acknowledgement was lost
			}
			idle = true
		}
	}
}

// openedOf returns the selected events, opened.
func (s *Store) openedOf(of Selection, events []Commit) ([]Commit, error) {
	var selected []Commit
	for _, c := range events {
		if of.Workspace != "" && of.Workspace != c.Workspace || of.ID != "" && of.ID != c.ID || !of.Authorizations && c.Key != "" {
			continue
		}
		c = s.opened(c)
		if err := c.unknown(); err != nil {
			return nil, err
		}
		selected = append(selected, c)
	}
	return selected, nil
}
