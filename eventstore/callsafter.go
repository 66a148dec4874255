package eventstore

import (
	"context"
	"errors"
	"iter"
	"time"
)

// CallsAfter is After for the stream of calls. Calls that its limits dropped are skipped. While
// nobody else can record calls, and nothing is missing, it yields those that this process has
// stored from memory.
func (s *Store) CallsAfter(ctx context.Context, position uint64) iter.Seq2[[]Commit, error] {
	return func(yield func([]Commit, error) bool) {
		reading, end := s.startReading(ctx) // until the end, so that no part of it misses that the log is another one
		defer end()
		ended := false
		pass := func(commits []Commit, err error) bool {
			ended = !yield(commits, err) || err != nil
			if err == nil {
				position = commits[len(commits)-1].Position
			}
			return !ended
		}
		for reading.Err() == nil {
			s.keptCallsAfter(reading, &position, pass)
			if ended || reading.Err() != nil {
				break
			}
			for commits, err := range s.tail(reading, callName, nil, position) {
				if !pass(commits, err) {
					return
				}
				if s.willKeepCallsAfter(reading, position) {
					break
				}
			}
		}
		if !ended && errors.Is(context.Cause(reading), ErrOtherLog) {
			yield(nil, ErrOtherLog)
		}
	}
}

// keepsCallsAfter reports whether the calls after a position need not be read from the server.
func (s *Store) keepsCallsAfter(position uint64) bool {
	now := s.era()
	if !now.alone {
		return false
	}
	_, whole, _ := s.kept.after(now.log, position, maxBatch)
	return whole
}

// willKeepCallsAfter is keepsCallsAfter, once what a reader has from the server is acknowledged: a
// server hands a call to readers before it is on disk.
func (s *Store) willKeepCallsAfter(ctx context.Context, position uint64) bool {
	if s.storeCalls == nil { // calls are recorded by other means
		return s.keepsCallsAfter(position)
	}
	wait := time.NewTimer(ackWait)
	defer wait.Stop()
	for {
		now := s.era()
		_, whole, added := s.kept.after(now.log, position, maxBatch)
		if !now.alone || whole || added == nil {
			return now.alone && whole
		}
		select {
		case <-added:
		case <-wait.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// keptCallsAfter yields calls after a position from memory, as long as it has all.
func (s *Store) keptCallsAfter(ctx context.Context, position *uint64, yield func([]Commit, error) bool) {
	if !s.keepsCallsAfter(*position) {
		return
	}
	check := time.NewTicker(checkKept)
	defer check.Stop()
	for idle := false; ctx.Err() == nil; {
		now := s.era()
		next, whole, added := s.kept.after(now.log, *position, maxBatch)
		if !now.alone || !whole {
			return
		}
		if len(next) > 0 {
			idle = false
			commits := make([]Commit, len(next))
			for n, c := range next {
				at := *position + 1 + uint64(n)
				commits[n] = s.opened(s.cache.read(callName, at, c.header, c.data, func() Commit { return s.decode(c.subject, at, c.header, c.data) }))
				if err := commits[n].unknown(); err != nil {
					yield(nil, err)
					return
				}
			}
			if !yield(commits, nil) {
				return
			}
			continue
		}
		select {
		case <-added:
		case <-ctx.Done():
		case <-check.C:
			if idle && !s.endsAt(ctx, callName, *position) {
				return
			}
			idle = true
		}
	}
}

// endsAt reports whether a stream has nothing later than a position: something may be stored whose
// acknowledgement was lost.
func (s *Store) endsAt(ctx context.Context, stream string, position uint64) bool {
	head, err := s.head(ctx, stream)
	return err == nil && head == position
}
