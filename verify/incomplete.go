package verify

import (
	"context"
	"fmt"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/projections"
)

// inspect compares the log with the last event that was seen on disk. The events themselves do not
// show that a log has lost its end.
func (v *verification) inspect(ctx context.Context) error {
	found, err := v.Events.Inspect(ctx, eventstore.Scrubbed{}, v.Mark)
	if err != nil || found.Whole() {
		return err
	}
	v.incomplete = true
	for _, r := range found.Ranges {
		if r.To > v.head {
			v.problem("events are missing from the end of the log: positions %d to %d were on disk before", max(r.From, v.head+1), r.To)
		}
	}
	if found.Replaced {
		v.problem("recorded events have changed: the event that was last seen on disk, at position %d, is another one", v.Mark.Position)
	}
	return nil
}

// isAhead reports whether the live read model shows more than the log has. It does not when there is
// none, or none that can be read.
func (v *verification) isAhead(ctx context.Context) (bool, error) {
	_, store, err := projections.OpenLive(ctx, v.Generations)
	if err != nil {
		return false, nil //nolint:nilerr // then one is built from the log, or reading it fails again
	}
	ahead, err := projections.Ahead(ctx, v.Events, store)
	if err := store.Close(); err != nil {
		return false, err
	}
	return ahead, err
}

// compareAsItIs compares the read model with what is left of the log, and applies nothing to it: it
// may show what the log has lost.
func (v *verification) compareAsItIs(ctx context.Context) error {
	_, store, err := projections.OpenLive(ctx, v.Generations)
	if err != nil {
		return fmt.Errorf("%w; none is built while events are missing from the log", err)
	}
	defer store.Close() //nolint:errcheck // nothing was written
	at, err := store.Positions(ctx)
	switch {
	case err != nil:
		return err
	case at.Integrations < v.head:
		v.problem("the read model can't be compared with the log: it shows %d of %d positions, and nothing is applied while events are missing", at.Integrations, v.head)
		return nil
	case at.Integrations > v.head:
		v.problem("the read model shows the log up to position %d, and the log ends at %d", at.Integrations, v.head)
	}
	return v.compareStored(ctx, store)
}
