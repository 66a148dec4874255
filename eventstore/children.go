package eventstore

import (
	"context"
	"iter"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
)

// Child is a kind of aggregate that belongs to an integration, and is forgotten with it.
type Child int

// The kinds.
const (
	ChildAuthorizations Child = iota
	ChildApprovals
)

// stream returns where the events of a kind are, of one integration.
func (c Child) stream(w domain.Workspace, id domain.ID) (name, filter string) {
	if c == ChildApprovals {
		return approvalName, Selection{Workspace: w, ID: id}.approvalFilter()
	}
	return logName, Selection{Workspace: w, ID: id}.filter(logPrefix) + ".*"
}

// Children iterates over the last event of each aggregate of a kind that an integration ever had.
// That there is none is known from the leader, so that none is forgotten which a replica lacks. It
// ends with the first error, which may be that of ctx.
func (s *Store) Children(ctx context.Context, of Child, w domain.Workspace, id domain.ID) iter.Seq2[Commit, error] {
	return func(yield func(Commit, error) bool) {
		name, filter := of.stream(w, id)
		first, err := streams.NextFromLeader(ctx, s.nc, name, filter, 1)
		if err != nil {
			yield(Commit{}, unavailable(err, "read what belongs to an integration"))
			return
		}
		if first == nil {
			return
		}
		latest, err := s.latest(ctx, name, filter)
		if err != nil {
			yield(Commit{}, err)
			return
		}
		for commits, err := range latest.Commits {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(Commit{}, err)
				return
			}
			for _, c := range commits {
				if !yield(c, nil) {
					return
				}
			}
		}
	}
}
