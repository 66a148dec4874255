package audit

import (
	"context"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// A Moment is a point in the history of an integration: a version, or else a
// time.
type Moment struct {
	Version uint64
	Time    time.Time
}

// AsOf returns an integration as it was at a moment. It is NotFound when it did
// not exist then.
func (l Log) AsOf(ctx context.Context, w domain.Workspace, id domain.ID, at Moment) (domain.Integration, error) {
	if b, ok := domain.Builtin(w, id, l.Builtins); ok {
		return b, nil
	}
	var state domain.Integration
	found := false
	err := l.walk(ctx, w, id, func(c eventstore.Commit) bool {
		if at.Version == 0 && c.Meta.At.After(at.Time) {
			return false
		}
		if c.Err == nil {
			state = domain.Evolve(state, c.Event)
			found = at.Version == 0 || state.Version == at.Version
		}
		return at.Version == 0 || !found
	})
	switch {
	case err != nil:
		return domain.Integration{}, err
	case state.ID == "":
		return domain.Integration{}, domain.NoSuchIntegration()
	case !found:
		return domain.Integration{}, domain.Errorf(domain.NotFound, "version_not_found", "the integration has no version %d that can be read; its last is %d", at.Version, state.Version)
	case state.Deleted:
		return domain.Integration{}, domain.Errorf(domain.NotFound, "integration_deleted", "the integration was deleted then, at version %d", state.Version)
	}
	return state, nil
}
