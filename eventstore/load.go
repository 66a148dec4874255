package eventstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
)

// Load returns the last event of an integration, which carries its state; the zero
// Commit when it has none. An unreadable event is a Conflict with the code
// integration_parked. In a cluster a follower that is slightly behind may answer; an
// Append then conflicts, and LoadFromLeader returns the latest event.
func (s *Store) Load(ctx context.Context, w domain.Workspace, id domain.ID) (Commit, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.read(s.log.GetLastMsgForSubject(ctx, subject(logPrefix, w, id)))
}

// Replicated reports whether the log has replicas, so that a follower may answer Load.
func (s *Store) Replicated() bool { return s.log.CachedInfo().Config.Replicas > 1 }

// LastProbe returns the last probe result of an integration, the zero Commit when it
// has none. In a cluster it may be slightly behind.
func (s *Store) LastProbe(ctx context.Context, w domain.Workspace, id domain.ID) (Commit, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.read(s.probes.GetLastMsgForSubject(ctx, subject(probePrefix, w, id)))
}

// read converts a reply of the server to a commit.
func (s *Store) read(msg *jetstream.RawStreamMsg, err error) (Commit, error) {
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return Commit{}, nil
	case err != nil:
		return Commit{}, unavailable(err, "load")
	}
	c := s.commit(msg.Subject, msg.Sequence, msg.Header, msg.Data)
	return c, parked(c.Err)
}

// parked returns the error for an unreadable event, nil for nil. Another version of the
// service may be able to read it; a retry doesn't help.
func parked(err error) error {
	if err == nil {
		return nil
	}
	return domain.Wrap(fmt.Errorf("load: %w", err), domain.Conflict, "integration_parked",
		"the last event of this integration can't be read by this version of the service; see `integrations status` for the reason")
}

// LoadFromLeader is Load answered by the leader of the stream, which is never behind.
func (s *Store) LoadFromLeader(ctx context.Context, w domain.Workspace, id domain.ID) (Commit, error) {
	msg, err := s.lastFromLeader(ctx, logName, subject(logPrefix, w, id))
	if err != nil || msg == nil {
		return Commit{}, err
	}
	c := s.commit(msg.Subject, msg.Sequence, msg.Header, msg.Data)
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
	}
	return s.commit(msg.Subject, msg.Sequence, msg.Header, msg.Data), nil
}
