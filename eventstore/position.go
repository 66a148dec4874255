package eventstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

// A position is stored under the name of its subscriber. Once the log has more than one
// epoch, the identity of the log is stored beside it.
const logSuffix = ".log"

// Position returns the position in the log that the named subscriber has reached, and
// whether one was ever stored. A name consists of letters, digits, dots, hyphens and
// underscores.
//
// For a position of another log it returns the last position up to which both logs are
// the same, so that no event is skipped.
func (s *Store) Position(ctx context.Context, subscriber string) (position uint64, known bool, err error) {
	return s.position(ctx, subscriber, Lineage.Locate, s.Head)
}

// ProbePosition is Position in the stream of probe results.
func (s *Store) ProbePosition(ctx context.Context, subscriber string) (position uint64, known bool, err error) {
	return s.position(ctx, subscriber, Lineage.LocateProbe, s.ProbeHead)
}

func (s *Store) position(ctx context.Context, subscriber string, locate func(Lineage, string, uint64) (uint64, bool), head func(context.Context) (uint64, error)) (uint64, bool, error) {
	text, known, err := s.storedFor(ctx, subscriber)
	if err != nil || !known {
		return 0, false, err
	}
	position, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, false, fmt.Errorf("the position of %s: %w", subscriber, err)
	}
	if lineage := s.Lineage(); len(lineage.Epochs) > 1 {
		log, err := s.ReaderLog(ctx, subscriber)
		if err != nil {
			return 0, false, err
		}
		position, _ = locate(lineage, log, position)
	}
	end, err := head(ctx)
	return min(position, end), true, err
}

// storedFor returns the value stored under a key, and whether there is one.
func (s *Store) storedFor(ctx context.Context, key string) (string, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	entry, err := s.positions.Get(ctx, key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return "", false, nil
	case err != nil:
		return "", false, unavailable(err, "read the position of "+key)
	}
	return string(entry.Value()), true, nil
}

// SavePosition stores the position that the named subscriber has reached in the log with
// an identity from Lineage.
func (s *Store) SavePosition(ctx context.Context, subscriber, log string, position uint64) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if _, err := s.positions.Put(ctx, subscriber, strconv.AppendUint(nil, position, 10)); err != nil {
		return unavailable(err, "store the position of "+subscriber)
	}
	lineage := s.Lineage()
	if saved, known := s.savedIn.Load(subscriber); len(lineage.Epochs) < 2 || known && saved == log {
		return nil
	}
	// Written last, so that a position of an earlier log is never taken for one of this log.
	if _, err := s.positions.PutString(ctx, subscriber+logSuffix, log); err != nil {
		return unavailable(err, "store the position of "+subscriber)
	}
	s.savedIn.Store(subscriber, log)
	return nil
}

// ReaderLog returns the identity of the log that SetReaderLog stored for a reader, empty
// when there is none.
func (s *Store) ReaderLog(ctx context.Context, reader string) (string, error) {
	log, _, err := s.storedFor(ctx, reader+logSuffix)
	return log, err
}

// SetReaderLog stores the identity of the log for a reader that stores its position
// itself. Names follow the rules of Position.
func (s *Store) SetReaderLog(ctx context.Context, reader, log string) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if _, err := s.positions.PutString(ctx, reader+logSuffix, log); err != nil {
		return unavailable(err, "store the log of "+reader)
	}
	return nil
}
