package eventstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Begin starts an epoch: the log gets a new identity. Its events up to e.After, and
// the probe results up to e.Probes, are those of the previous epoch; later ones are
// lost. Missing is how many lost events an operator accepts. Formerly is the identity
// of a log that this one replaces without being made from it, or empty.
func (s *Store) Begin(ctx context.Context, e Epoch, missing uint64, formerly string) error {
	if err := s.forgetRemoved(ctx, e.After); err != nil {
		return err
	}
	return s.changeLineage(ctx, func(known Lineage, created time.Time) (Lineage, bool) {
		e := e
		if formerly != "" && known.index(formerly) < 0 {
			known.Epochs = slices.Insert(known.Epochs, 0, Epoch{ID: formerly, Reason: Created})
			e.After, e.Probes = 0, 0
		}
		e.ID, e.Stream = rand.Text(), created
		return Lineage{Epochs: append(known.Epochs, e), Accepted: missing, Removed: known.Removed}, true
	})
}

// Restored starts an epoch on a log that was restored from a backup: later events are
// lost. It refuses an incomplete log.
func Restored(ctx context.Context, nc *nats.Conn, cfg Config, now time.Time) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("begin a restored log: %w", err)
	}
	s := &Store{nc: nc, js: js, timeout: orDefault(cfg.Timeout, restoredWithin)}
	if s.log, err = js.Stream(ctx, logName); err != nil {
		return fmt.Errorf("begin a restored log: %w", err)
	}
	if err := s.openBuckets(ctx, cfg.Replicas); err != nil {
		return fmt.Errorf("begin a restored log: %w", err)
	}
	known, _, err := s.readLineage(ctx)
	if err != nil {
		return err
	}
	found, err := s.Inspect(ctx, Scrubbed{})
	if err == nil {
		err = found.Err()
	}
	if err != nil {
		return err
	}
	e := Epoch{After: found.Last, Reason: RestoredFromBackup, Began: now}
	if e.Probes, err = s.ProbeHead(ctx); err != nil {
		return err
	}
	return s.Begin(ctx, e, known.Accepted, "")
}

// restoredWithin bounds each request to a server that has just restored a stream.
const restoredWithin = 30 * time.Second
