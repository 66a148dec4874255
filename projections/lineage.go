package projections

import (
	"context"
	"fmt"

	"github.com/seed677028b5/integrations/eventstore"
)

// A store is filled from one log. After a restore or a loss the same positions are
// those of other events, so it is kept which log a store was filled from: beside the
// log, under the identity of the store, and only once the log has become another one.

func readerOf(s Store) string { return "read-model." + s.Identity() }

// fillFrom notes that a store is filled from the log as it is now.
func fillFrom(ctx context.Context, events *eventstore.Store, s Store) error {
	if lineage := events.Lineage(); len(lineage.Epochs) > 1 {
		return events.SetReaderLog(ctx, readerOf(s), lineage.ID())
	}
	return nil
}

// checkLog returns ErrOtherLog when what a store shows is not in the log any more.
func checkLog(ctx context.Context, events *eventstore.Store, s Store, at Positions) error {
	lineage := events.Lineage()
	if len(lineage.Epochs) < 2 {
		return nil
	}
	from, err := events.ReaderLog(ctx, readerOf(s))
	if err != nil || from == lineage.ID() {
		return err
	}
	_, same := lineage.Locate(from, at.Integrations)
	_, sameProbes := lineage.LocateProbe(from, at.Probes)
	if !same || !sameProbes {
		return fmt.Errorf("%w: the log was restored, or a loss was accepted", ErrOtherLog)
	}
	return fillFrom(ctx, events, s)
}
