package projections

import (
	"context"
	"fmt"

	"github.com/seed677028b5/integrations/eventstore"
)

// A store is filled from one log. After a restore or a loss the same positions are those of
// other events, so the service records from which log a store was filled: beside the log, under
// the identity of the store, and only once the log has more than one epoch.

func readerOf(s Store) string { return "read-model." + s.Identity() }

// fillFrom records that a store is filled from the present log.
func fillFrom(ctx context.Context, events *eventstore.Store, s Store) error {
	if lineage := events.Lineage(); len(lineage.Epochs) > 1 {
		return events.SetReaderLog(ctx, readerOf(s), lineage.ID())
	}
	return nil
}

// checkLog returns ErrOtherLog when the store shows events that the log no longer has.
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
	_, sameApprovals := lineage.LocateApproval(from, at.Approvals)
	if !same || !sameProbes || !sameApprovals {
		return fmt.Errorf("%w: the log was restored, or a loss was accepted", ErrOtherLog)
	}
	return fillFrom(ctx, events, s)
}
