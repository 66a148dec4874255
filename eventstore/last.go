package eventstore

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
)

func (s *Store) era() era {
	now, _ := s.eraUntil()
	return now
}

// eraUntil returns the present era, and a channel that is closed when another program connects.
func (s *Store) eraUntil() (now era, another <-chan struct{}) {
	now = era{log: s.Lineage().ID(), reconnects: s.nc.Stats().Reconnects}
	if s.others != nil {
		now.others, now.alone, another = s.others()
	}
	return now, another
}

// Current is Load, from memory when nobody else can have appended to the log since: the server is in
// this process, and no other program has been connected to it.
//
// An append is in memory before it is acknowledged. One whose connection ended before it was
// acknowledged has an unknown outcome, and is in memory before this process shows it to anybody.
func (s *Store) Current(ctx context.Context, w domain.Workspace, id domain.ID) (Commit, error) {
	now, of := s.era(), domain.Ref{Workspace: w, ID: id}
	if !now.alone {
		return s.Load(ctx, w, id)
	}
	if c, known := s.last.current(now, of); known && s.nc.IsConnected() {
		return c, nil
	}
	return s.loadAndPut(ctx, now, of)
}

// LoadRecent is Load from memory, if this process changed or loaded the integration lately.
// It reports whether the event may not be the last one: an Append after it then conflicts,
// and LoadFromLeader returns the last.
func (s *Store) LoadRecent(ctx context.Context, w domain.Workspace, id domain.ID) (c Commit, mayLag bool, err error) {
	if c, known := s.Recent(w, id); known {
		return c, true, nil
	}
	c, err = s.loadAndPut(ctx, s.era(), domain.Ref{Workspace: w, ID: id})
	return c, s.Replicated(), err
}

// loadAndPut is Load, and remembers what it returns.
func (s *Store) loadAndPut(ctx context.Context, now era, of domain.Ref) (Commit, error) {
	defer s.last.begin(of, false)()
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	msg, err := s.log.GetLastMsgForSubject(ctx, subject(logPrefix, of.Workspace, of.ID))
	c, err := s.read(logName, msg, err)
	if err == nil && msg != nil {
		s.last.put(now, lastCommit{c, len(msg.Data)})
	}
	return c, err
}

// Recent returns the event of an integration that LoadRecent has in memory, and whether there
// is one.
func (s *Store) Recent(w domain.Workspace, id domain.ID) (Commit, bool) {
	return s.last.get(s.era(), domain.Ref{Workspace: w, ID: id})
}
