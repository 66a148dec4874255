package eventstore

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"
)

const (
	maxKeptCalls = 2_000
	maxKeptBytes = 4 << 20 // of calls as stored
	checkKept    = time.Second
	ackWait      = 50 * time.Millisecond // for the acknowledgement of a call that a reader has already
)

// keptCalls keeps the calls that this process has stored last, at consecutive positions of one log.
// Its readers need not ask the server for them.
type keptCalls struct {
	mu    sync.Mutex
	log   string
	first uint64 // the position of the first one
	all   []CallRecord
	bytes int
	added chan struct{} // closed when there are more; nil: nobody waits
}

// add keeps calls that are stored at consecutive positions. Those that don't follow what is kept
// replace it.
func (k *keptCalls) add(log string, first uint64, calls ...CallRecord) {
	k.mu.Lock()
	defer k.mu.Unlock()
	next := k.first + uint64(len(k.all))
	switch {
	case log == k.log && first < next: // it was overtaken by a later one
		return
	case log != k.log || first > next:
		k.log, k.first, k.all, k.bytes = log, first, nil, 0
	}
	for _, c := range calls {
		k.all, k.bytes = append(k.all, c), k.bytes+len(c.data)
	}
	for len(k.all) > maxKeptCalls || k.bytes > maxKeptBytes {
		k.bytes -= len(k.all[0].data)
		k.first, k.all[0], k.all = k.first+1, CallRecord{}, k.all[1:]
	}
	if k.added != nil {
		close(k.added)
		k.added = nil
	}
}

// after returns what is kept after a position, and whether nothing is missing between. When it
// returns nothing though nothing earlier is missing, a channel is closed once there is more.
func (k *keptCalls) after(log string, position uint64) (next []CallRecord, whole bool, added <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	end := k.first + uint64(len(k.all))
	if position+1 < end && (log != k.log || position+1 < k.first) {
		return nil, false, nil
	}
	if position+1 < end {
		next = k.all[position+1-k.first:]
		return next[:min(len(next), maxBatch):min(len(next), maxBatch)], true, nil
	}
	if k.added == nil {
		k.added = make(chan struct{})
	}
	return nil, log == k.log && position+1 == end, k.added
}

// CallsAfter is After for the stream of calls. Calls that its limits dropped are skipped. While
// nobody else can record calls, and nothing is missing, it yields those that this process has
// stored from memory.
func (s *Store) CallsAfter(ctx context.Context, position uint64) iter.Seq2[[]Commit, error] {
	return func(yield func([]Commit, error) bool) {
		ended := false
		pass := func(commits []Commit, err error) bool {
			ended = !yield(commits, err) || err != nil
			if err == nil {
				position = commits[len(commits)-1].Position
			}
			return !ended
		}
		for !ended && ctx.Err() == nil {
			s.keptCallsAfter(ctx, &position, pass)
			if ended || ctx.Err() != nil {
				return
			}
			for commits, err := range s.tail(ctx, callName, nil, position) {
				if !pass(commits, err) || s.willKeepCallsAfter(ctx, position) {
					break
				}
			}
		}
	}
}

// keepsCallsAfter reports whether the calls after a position need not be read from the server.
func (s *Store) keepsCallsAfter(position uint64) bool {
	now := s.era()
	if !now.alone {
		return false
	}
	_, whole, _ := s.kept.after(now.log, position)
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
		_, whole, added := s.kept.after(now.log, position)
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
	reading, end := s.startReading(ctx)
	defer end()
	check := time.NewTicker(checkKept)
	defer check.Stop()
	for idle := false; reading.Err() == nil; {
		now := s.era()
		next, whole, added := s.kept.after(now.log, *position)
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
		case <-reading.Done():
		case <-check.C:
			if idle && !s.endsAt(reading, *position) {
				return
			}
			idle = true
		}
	}
	if errors.Is(context.Cause(reading), ErrOtherLog) {
		yield(nil, ErrOtherLog)
	}
}

// endsAt reports whether there is no later call than the one at a position: one may be stored whose
// acknowledgement was lost.
func (s *Store) endsAt(ctx context.Context, position uint64) bool {
	head, err := s.head(ctx, callName)
	return err == nil && head == position
}
