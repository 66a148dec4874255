package eventstore

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
)

// An authorization has a subject of its own in the log, below that of its integration, so
// that any number of them leave the events of the integration few. Log, positions and
// promises are the same.

func authorizationSubject(a domain.AuthorizationRef) string {
	return subject(logPrefix, a.Workspace, a.ID) + "." + a.Key
}

// AppendAuthorization is Append for an event of an authorization.
func (s *Store) AppendAuthorization(ctx context.Context, after uint64, e domain.AuthorizationChanged, m domain.Metadata) (uint64, error) {
	return s.appendTo(ctx, authorizationSubject(e.Ref()), after, e, m)
}

// LoadAuthorization is Load for an authorization.
func (s *Store) LoadAuthorization(ctx context.Context, a domain.AuthorizationRef) (Commit, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	msg, err := s.log.GetLastMsgForSubject(ctx, authorizationSubject(a))
	return s.read(logName, msg, err)
}

// LoadAuthorizationFromLeader is LoadFromLeader for an authorization.
func (s *Store) LoadAuthorizationFromLeader(ctx context.Context, a domain.AuthorizationRef) (Commit, error) {
	return s.loadFromLeader(ctx, authorizationSubject(a))
}

// LatestAuthorizations reads the last event of each authorization of an integration, or of
// all when id is empty.
func (s *Store) LatestAuthorizations(ctx context.Context, w domain.Workspace, id domain.ID) (Latest, error) {
	return s.latest(ctx, logName, Selection{Workspace: w, ID: id}.filter(logPrefix)+".*")
}

// interleave returns up to limit of the commits of two pages in their common order, and
// whether there are more. It goes no further than the end of a page that has a next one:
// what follows there may come before what the other has.
func interleave(limit int, moreOne, moreOther bool, one, other []Commit, before func(a, b uint64) bool) ([]Commit, bool) {
	all := make([]Commit, 0, len(one)+len(other))
	for len(all) < limit && len(one)+len(other) > 0 {
		switch {
		case len(one) == 0 && moreOne, len(other) == 0 && moreOther:
			return all, true
		case len(other) == 0 || len(one) > 0 && before(one[0].Position, other[0].Position):
			all, one = append(all, one[0]), one[1:]
		default:
			all, other = append(all, other[0]), other[1:]
		}
	}
	return all, moreOne || moreOther || len(one)+len(other) > 0
}
