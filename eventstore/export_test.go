package eventstore

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
)

// LateLoad is the load of Current, stopped when the server has answered. The function that it returns
// lets it continue.
func (s *Store) LateLoad(ctx context.Context, w domain.Workspace, id domain.ID) (finish func(), err error) {
	now, of := s.era(), domain.Ref{Workspace: w, ID: id}
	end := s.last.begin(of, false)
	c, err := s.Load(ctx, w, id)
	return func() {
		s.last.put(now, lastCommit{c, 1})
		end()
	}, err
}
