package eventstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/streams"
)

const (
	stateBucket = "LOG_STATE"
	lineageKey  = "lineage"
)

// Lineage returns the lineage as it was last read.
func (s *Store) Lineage() Lineage {
	if known := s.lineage.Load(); known != nil {
		return *known
	}
	return Lineage{}
}

// openLineage reads the lineage, and records a first one if there is none.
func (s *Store) openLineage(ctx context.Context) error {
	return s.changeLineage(ctx, func(known Lineage, created time.Time) (Lineage, bool) {
		if n := len(known.Epochs); n > 0 && known.Epochs[n-1].Stream.Equal(created) {
			return known, false
		}
		return Lineage{Epochs: append(known.Epochs, Epoch{ID: rand.Text(), Stream: created, Reason: Created})}, true
	})
}

// changeLineage applies change to the lineage and the creation time of the stream, and
// writes the result unless it reports no change. It retries after a conflict.
func (s *Store) changeLineage(ctx context.Context, change func(Lineage, time.Time) (Lineage, bool)) error {
	for {
		known, revision, err := s.readLineage(ctx)
		if err != nil {
			return err
		}
		info, err := s.info(ctx)
		if err != nil {
			return err
		}
		known.Epochs = slices.Clone(known.Epochs) // it is shared with other readers
		next, changed := change(known, streamCreated(info))
		if !changed {
			return nil
		}
		if err := s.writeLineage(ctx, next, revision); !errors.Is(err, ErrConflict) {
			return err
		}
	}
}

// readLineage returns the lineage and its revision from the leader, zero when there is
// none: an earlier lineage would end all reading.
func (s *Store) readLineage(ctx context.Context) (Lineage, uint64, error) {
	if s.state == nil { // attached to a log whose service doesn't record it yet
		return Lineage{}, 0, nil
	}
	msg, err := s.lastFromLeader(ctx, "KV_"+stateBucket, "$KV."+stateBucket+"."+lineageKey)
	if err != nil || msg == nil {
		return Lineage{}, 0, err
	}
	var known Lineage
	if err := json.Unmarshal(msg.Data, &known); err != nil {
		return Lineage{}, 0, fmt.Errorf("read the lineage of the log: %w", err)
	}
	s.setLineage(known)
	return known, msg.Sequence, nil
}

// writeLineage replaces the lineage at a revision. It returns ErrConflict when another
// process was first.
func (s *Store) writeLineage(ctx context.Context, l Lineage, after uint64) error {
	data, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("write the lineage of the log: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	_, err = s.state.Update(ctx, lineageKey, data, after)
	switch {
	case errors.Is(err, jetstream.ErrKeyExists), streams.IsConflict(err):
		return ErrConflict
	case err != nil:
		return unavailable(err, "write the lineage of the log")
	}
	s.setLineage(l)
	return nil
}

// setLineage records the lineage, and ends all reading when the log was replaced.
func (s *Store) setLineage(l Lineage) {
	before := s.lineage.Swap(&l)
	if before == nil || before.ID() == l.ID() {
		return
	}
	s.reading.endAll(ErrOtherLog)
}

func streamCreated(info *jetstream.StreamInfo) time.Time {
	return info.Created.UTC().Truncate(time.Millisecond)
}
