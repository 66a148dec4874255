package eventstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
)

// Load returns the last event of an integration, which carries its state; the zero
// Commit when it has none. An unreadable event is a Conflict with the code
// integration_parked. In a cluster a follower that is slightly behind may answer; an
// Append then conflicts, and LoadFromLeader returns the latest event.
func (s *Store) Load(ctx context.Context, w domain.Workspace, id domain.ID) (Commit, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	msg, err := s.log.GetLastMsgForSubject(ctx, subject(logPrefix, w, id))
	return s.read(logName, msg, err)
}

// Replicated reports whether the log has replicas, so that a follower may answer Load.
func (s *Store) Replicated() bool { return s.log.CachedInfo().Config.Replicas > 1 }

// LastProbe returns the last probe result of an integration, the zero Commit when it
// has none. In a cluster it may be slightly behind.
func (s *Store) LastProbe(ctx context.Context, w domain.Workspace, id domain.ID) (Commit, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	msg, err := s.probes.GetLastMsgForSubject(ctx, subject(probePrefix, w, id))
	return s.read(probeName, msg, err)
}

// LastProbes returns the last probe results of integrations of a workspace, of those that have
// one and can be read. In a cluster they may be slightly behind.
func (s *Store) LastProbes(ctx context.Context, w domain.Workspace, ids []domain.ID) ([]Commit, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	subjects := make([]string, len(ids))
	for n, id := range ids {
		subjects[n] = subject(probePrefix, w, id)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	messages, err := jetstreamext.GetLastMsgsFor(ctx, s.js, probeName, subjects)
	if err != nil {
		return nil, unavailable(err, "read "+probeName)
	}
	var all []Commit
	for msg, err := range messages {
		switch {
		case errors.Is(err, jetstreamext.ErrNoMessages):
			return all, nil
		case err != nil:
			return nil, unavailable(err, "read "+probeName)
		}
		if c := s.commit(msg.Subject, msg.Sequence, msg.Header, msg.Data); c.Err == nil {
			all = append(all, c)
		}
	}
	if err := ctx.Err(); err != nil { // at the deadline the sequence ends without an error
		return nil, unavailable(err, "read "+probeName)
	}
	return all, nil
}

// read converts a reply of the server to a commit. What was decoded lately is not decoded again.
func (s *Store) read(stream string, msg *jetstream.RawStreamMsg, err error) (Commit, error) {
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return Commit{}, nil
	case err != nil:
		return Commit{}, unavailable(err, "load")
	}
	s.last.notice(msg.Subject, msg.Sequence)
	c := s.opened(s.cache.read(stream, msg.Sequence, msg.Header, msg.Data, func() Commit {
		return s.decode(msg.Subject, msg.Sequence, msg.Header, msg.Data)
	}))
	return c, parked(c.Err)
}

// parked returns the error for an unreadable event, nil for nil. Another version of the
// service may be able to read it; a retry doesn't help.
func parked(err error) error {
	if err == nil || domain.KindOf(err) == domain.Unavailable {
		return err
	}
	return domain.Wrap(fmt.Errorf("load: %w", err), domain.Conflict, "integration_parked",
		"the last event of this integration can't be read by this version of the service; see `integrations status` for the reason")
}

// LoadFromLeader is Load answered by the leader of the stream, which is never behind.
func (s *Store) LoadFromLeader(ctx context.Context, w domain.Workspace, id domain.ID) (Commit, error) {
	return s.loadFromLeader(ctx, subject(logPrefix, w, id))
}

// loadFromLeader loads the last event on a subject, and remembers it.
func (s *Store) loadFromLeader(ctx context.Context, subject string) (Commit, error) {
	now := s.era()
	if w, id, key := parseSubject(subject); key == "" {
		defer s.last.begin(domain.Ref{Workspace: w, ID: id}, false)()
	}
	msg, err := s.lastFromLeader(ctx, logName, subject)
	if err != nil || msg == nil {
		return Commit{}, err
	}
	c := s.commit(msg.Subject, msg.Sequence, msg.Header, msg.Data)
	s.last.put(now, lastCommit{c, len(msg.Data)})
	return c, parked(c.Err)
}

// Next returns the first event of an integration after a position, the zero Commit when
// there is none. Calling it with the position of each result walks the integration's
// history. An unreadable event has its Err set.
func (s *Store) Next(ctx context.Context, w domain.Workspace, id domain.ID, after uint64) (Commit, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	msg, err := s.log.GetMsg(ctx, after+1, jetstream.WithGetMsgSubject(subject(logPrefix, w, id)))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return Commit{}, nil
	case err != nil:
		return Commit{}, unavailable(err, "read history")
	case msg.Sequence <= after:
		return Commit{}, unavailable(errMisnamed, "read history")
	}
	c := s.commit(msg.Subject, msg.Sequence, msg.Header, msg.Data)
	return c, c.unknown()
}

// First is the first event of an integration that can be read, the zero Commit when there is none.
func (s *Store) First(ctx context.Context, w domain.Workspace, id domain.ID) (Commit, error) {
	return s.nextRead(ctx, w, id, 0)
}

// NextFromLeader is Next answered by the leader of the stream: what it does not have, the
// integration does not have.
func (s *Store) NextFromLeader(ctx context.Context, w domain.Workspace, id domain.ID, after uint64) (Commit, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	msg, err := streams.NextFromLeader(ctx, s.nc, logName, subject(logPrefix, w, id), after+1)
	switch {
	case err != nil:
		return Commit{}, unavailable(err, "read history from leader")
	case msg == nil:
		return Commit{}, nil
	}
	c := s.commit(msg.Subject, msg.Sequence, msg.Header, msg.Data)
	return c, c.unknown()
}
