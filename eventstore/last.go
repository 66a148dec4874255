package eventstore

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
)

func (s *Store) era() era {
	return era{s.Lineage().ID(), s.nc.Stats().Reconnects}
}

// LoadRecent is Load from memory, if this process changed or loaded the integration lately.
// It reports whether the event may not be the last one: an Append after it then conflicts,
// and LoadFromLeader returns the last.
func (s *Store) LoadRecent(ctx context.Context, w domain.Workspace, id domain.ID) (c Commit, mayLag bool, err error) {
	if c, known := s.Recent(w, id); known {
		return c, true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	now := s.era()
	msg, err := s.log.GetLastMsgForSubject(ctx, subject(logPrefix, w, id))
	c, err = s.read(logName, msg, err)
	if err == nil && msg != nil {
		s.last.put(now, lastCommit{c, len(msg.Data)})
	}
	return c, s.Replicated(), err
}

// Recent returns the event of an integration that LoadRecent has in memory, and whether there
// is one.
func (s *Store) Recent(w domain.Workspace, id domain.ID) (Commit, bool) {
	return s.last.get(s.era(), domain.Ref{Workspace: w, ID: id})
}
