package eventstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// removedKey is the beginning of the keys of removed positions: removed.SET.PART.
const removedKey = "removed."

// Removed returns the positions whose events were removed, or may be: a Prune records them first. It is
// as the lineage was last read, which the guard does every 5 seconds.
func (s *Store) Removed(ctx context.Context) (*Positions, error) {
	return s.removedOf(ctx, s.Lineage())
}

// RemovedNow is Removed after it has read the record again, for who has seen that an event is missing.
func (s *Store) RemovedNow(ctx context.Context) (*Positions, error) {
	known, _, err := s.readLineage(ctx)
	if err != nil {
		return nil, err
	}
	return s.removedOf(ctx, known)
}

// RemovedSince returns removed, as it was read before, unless it lacks a position between two, both included: then it is
// RemovedNow. So a long reading takes nothing for lost that was removed meanwhile.
func (s *Store) RemovedSince(ctx context.Context, removed *Positions, from, to uint64) (*Positions, error) {
	if len(removed.Others(from, to)) == 0 {
		return removed, nil
	}
	return s.RemovedNow(ctx)
}

func (s *Store) removedOf(ctx context.Context, known Lineage) (*Positions, error) {
	is := known.Removal()
	if is.Count == 0 {
		return nil, nil //nolint:nilnil // the empty set
	}
	if read := s.removed.Load(); read != nil && read.set == is.Set {
		return read.positions, nil
	}
	positions, err := s.readRemoved(ctx, is)
	if err != nil {
		return nil, err
	}
	s.removed.Store(&removedPositions{is.Set, positions})
	return positions, nil
}

// errRemovedUnread means that a replica has not all parts of a set of positions yet.
var errRemovedUnread = errors.New("the positions of removed events are incomplete")

func (s *Store) readRemoved(ctx context.Context, is Removal) (*Positions, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	watch, err := s.state.Watch(ctx, removedKey+is.Set+".*", jetstream.IgnoreDeletes())
	if err != nil {
		return nil, unavailable(err, "read the removed positions")
	}
	defer watch.Stop() //nolint:errcheck // it ends with ctx
	positions := &Positions{}
	for {
		select {
		case entry := <-watch.Updates():
			if entry == nil { // every present entry has arrived
				if positions.Count() != is.Count {
					return nil, unavailable(errRemovedUnread, "read the removed positions")
				}
				return positions, nil
			}
			n, err := strconv.ParseUint(strings.TrimPrefix(entry.Key(), removedKey+is.Set+"."), 10, 64)
			if err != nil {
				return nil, fmt.Errorf("read the removed positions: %q: %w", entry.Key(), err)
			}
			positions.addPart(n, entry.Value())
		case <-ctx.Done():
			return nil, unavailable(ctx.Err(), "read the removed positions")
		}
	}
}

// saveRemoved records which events may be gone. The lineage names the set once it is stored as a
// whole, so a reader sees the one before or this one.
func (s *Store) saveRemoved(ctx context.Context, positions *Positions, note string) error {
	is := &Removal{Count: positions.Count(), Set: strings.ToLower(rand.Text()), Note: note}
	for n, one := range positions.parts {
		putting, cancel := context.WithTimeout(ctx, s.timeout)
		_, err := s.state.Put(putting, fmt.Sprintf("%s%s.%d", removedKey, is.Set, n), one[:])
		cancel()
		if err != nil {
			return unavailable(err, "record the removed positions")
		}
	}
	before := ""
	err := s.changeLineage(ctx, func(known Lineage, _ time.Time) (Lineage, bool) {
		before, known.Removed = known.Removal().Set, is
		return known, true
	})
	if err == nil && before != "" {
		s.dropRemoved(ctx, before)
	}
	return err
}

// dropRemoved deletes a set that the lineage no longer names. What is left of it takes room only.
func (s *Store) dropRemoved(ctx context.Context, set string) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	keys, err := s.state.ListKeysFiltered(ctx, removedKey+set+".*")
	if err != nil {
		return
	}
	for key := range keys.Keys() {
		_ = s.state.Purge(ctx, key)
	}
}

// forgetRemoved takes the positions after one from the removed ones: other events get them. What was
// signed for them all no longer holds, which verify reports.
func (s *Store) forgetRemoved(ctx context.Context, after uint64) error {
	known, _, err := s.readLineage(ctx)
	if err != nil {
		return err
	}
	removed, err := s.removedOf(ctx, known)
	if err != nil || removed.Last() <= after {
		return err
	}
	return s.saveRemoved(ctx, removed.upTo(after), "")
}

// removedFrom returns the positions whose events were removed from a stream: only the log has any.
func (s *Store) removedFrom(ctx context.Context, stream string) (*Positions, error) {
	if stream != logName {
		return nil, nil //nolint:nilnil // the empty set
	}
	return s.Removed(ctx)
}
