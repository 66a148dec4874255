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
	same, recorded, err := sameLog(ctx, events, s, at)
	switch {
	case err != nil:
		return err
	case !same:
		return fmt.Errorf("%w: the log was restored, or a loss was accepted", ErrOtherLog)
	case recorded:
		return nil
	}
	return fillFrom(ctx, events, s)
}

// sameLog reports whether the positions of a store denote the same events in the present log as in
// the one that it was filled from, and whether that is recorded to be the present one.
func sameLog(ctx context.Context, events *eventstore.Store, s Store, at Positions) (same, recorded bool, err error) {
	lineage := events.Lineage()
	if len(lineage.Epochs) < 2 {
		return true, true, nil
	}
	from, err := events.ReaderLog(ctx, readerOf(s))
	if err != nil || from == lineage.ID() {
		return true, true, err
	}
	_, integrations := lineage.Locate(from, at.Integrations)
	_, probes := lineage.LocateProbe(from, at.Probes)
	_, approvals := lineage.LocateApproval(from, at.Approvals)
	return integrations && probes && approvals, false, nil
}

// Ahead reports whether a store shows more than its log has, and no restored backup or accepted loss
// explains that: then the log has lost its end.
func Ahead(ctx context.Context, events *eventstore.Store, s Store) (bool, error) {
	at, err := s.Positions(ctx)
	if err != nil {
		return false, err
	}
	head, err := heads(ctx, events)
	if err != nil || at.Integrations <= head.Integrations && at.Probes <= head.Probes && at.Approvals <= head.Approvals {
		return false, err
	}
	same, _, err := sameLog(ctx, events, s, at)
	return same, err
}
