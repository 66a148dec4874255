package audit

import (
	"context"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// An AsOf is a point in the history of an integration: a version if set, else a time.
type AsOf struct {
	Version uint64
	Time    time.Time
}

// AsOf returns an integration as of a point in its history. It is NotFound if the integration did
// not exist then, and Gone if only an archive has what it was.
func (l Log) AsOf(ctx context.Context, w domain.Workspace, id domain.ID, at AsOf) (domain.Integration, error) {
	if b, ok := domain.Builtin(w, id, l.Builtins); ok {
		b, _ = domain.ScopeOf(ctx).View(b)
		return b, nil
	}
	if err := l.inArchive(ctx, w, id, at); err != nil {
		return domain.Integration{}, err
	}
	c, err := l.find(ctx, w, id, at)
	if err != nil {
		return domain.Integration{}, err
	}
	state := domain.Evolve(domain.Integration{}, c.Event)
	switch {
	case state.ID == "", !state.Deleted && !domain.ScopeOf(ctx).Sees(state):
		return domain.Integration{}, domain.NoSuchIntegration()
	case at.Version > 0 && state.Version != at.Version:
		return domain.Integration{}, domain.Errorf(domain.NotFound, "version_not_found", "the integration has no readable version %d; its last version is %d", at.Version, state.Version)
	case state.Deleted:
		return domain.Integration{}, domain.Errorf(domain.NotFound, "integration_deleted", "the integration was deleted at that point, with version %d", state.Version)
	}
	state, _ = domain.ScopeOf(ctx).View(state)
	return state, nil
}

// find returns the event that led to the integration as of a point in its history. Without an
// event of that version it returns the last event, or the zero Commit if the integration
// did not exist yet.
func (l Log) find(ctx context.Context, w domain.Workspace, id domain.ID, at AsOf) (eventstore.Commit, error) {
	found, err := l.Events.Search(ctx, w, id, func(c eventstore.Commit) bool {
		if at.Version > 0 {
			return eventstore.VersionOf(c) >= at.Version
		}
		return c.Meta.At.After(at.Time)
	})
	if err != nil || at.Version > 0 && eventstore.VersionOf(found) == at.Version {
		return found, err
	}
	end := found.Position
	if end == 0 || at.Version > 0 { // nothing was recorded later, or the last version is requested
		if end, err = l.Events.Head(ctx); err != nil {
			return found, err
		}
		end++
	}
	return l.Events.Before(ctx, w, id, end)
}
