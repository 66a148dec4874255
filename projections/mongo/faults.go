package mongo

import (
	"context"
	"errors"
	"sync/atomic"

	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/seed677028b5/integrations/projections"
)

// faults determines why a MongoDB deployment can't be used.
type faults struct {
	topology atomic.Pointer[event.TopologyDescription] // as the driver saw it last
}

func (f *faults) monitor() *event.ServerMonitor {
	return &event.ServerMonitor{TopologyDescriptionChanged: func(e *event.TopologyDescriptionChangedEvent) {
		f.topology.Store(&e.NewDescription)
	}}
}

// The MongoDB error codes for an unknown user and a missing permission.
const (
	codeUnauthorized         = 13
	codeAuthenticationFailed = 18
)

// unavailable returns a failure of the database as an error for callers. It names failures that a
// retry can't fix. If the caller's context has ended, it returns the reason for that.
func (f *faults) unavailable(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	}
	if what := f.permanent(err); what != "" {
		return projections.UnavailableUntil(err, what)
	}
	return projections.Unavailable(err)
}

// permanent returns what an operator must fix; empty: a retry may succeed.
func (f *faults) permanent(err error) string {
	if refused, ok := errors.AsType[mongo.CommandError](err); ok {
		switch refused.Code {
		case codeAuthenticationFailed:
			return "MongoDB rejects the user or the password of this service"
		case codeUnauthorized:
			return "the MongoDB user of this service lacks permission to read and write the database"
		}
	}
	seen := f.topology.Load()
	switch {
	case seen == nil:
		return ""
	case seen.CompatibilityErr != nil:
		return "the version of the MongoDB server is not supported: " + seen.CompatibilityErr.Error()
	case seen.Kind == "ReplicaSetNoPrimary" && reachable(seen):
		return "the replica set of MongoDB has no primary"
	}
	return ""
}

func reachable(seen *event.TopologyDescription) bool {
	for _, s := range seen.Servers {
		if s.Kind != "Unknown" {
			return true
		}
	}
	return false
}
