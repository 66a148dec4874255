package eventstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
)

// Append stores e after position after on its integration, and returns its own
// position once it is on disk.
//
// It returns ErrConflict when another event already follows after. When the reply is
// lost it reads the log back, to find out whether an event with the same command id
// is there. If that fails too, the error is of kind Unavailable with the code
// outcome_unknown, and repeating the command is safe. While events are missing from
// the log, nothing is appended: the error is of kind Unavailable with the code
// log_incomplete.
func (s *Store) Append(ctx context.Context, w domain.Workspace, id domain.ID, after uint64, e domain.Event, m domain.Metadata) (uint64, error) {
	return s.appendTo(ctx, subject(logPrefix, w, id), after, e, m)
}

func (s *Store) appendTo(ctx context.Context, to string, after uint64, e domain.Event, m domain.Metadata) (uint64, error) {
	if err := s.Intact(); err != nil {
		return 0, err
	}
	msg, err := s.message(ctx, to, e, m)
	if err != nil {
		return 0, fmt.Errorf("append to %s: %w", to, err)
	}
	if limit := s.nc.MaxPayload() - addedHeaders; int64(msg.Size()) > limit {
		return 0, domain.Errorf(domain.TooLarge, "configuration_too_large", "the configuration exceeds the limit of %d bytes", limit)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	log := s.Lineage().ID()
	before := s.highest.observe(log, 0)
	position, err := s.send(ctx, msg, after)
	switch {
	case err == nil:
		if s.highest.observe(log, position); position <= before { // the log lost its end in the meantime
			s.refuseChanges(Integrity{Missing: before - position + 1, Ranges: []Range{{position, before}}}.Err())
		}
		return position, nil
	case refusedByLimits(err):
		return 0, domain.Wrap(fmt.Errorf("append to %s: %w", to, err), domain.Unavailable, "log_limited",
			"archived events are being removed from the event log: try again in some seconds. If it stays so, the removal was interrupted, and an operator must run integrations prune again")
	case notStored(err):
		return 0, unavailable(err, "append to "+to)
	}
	return s.settle(ctx, to, m.CommandID, err)
}

// send appends a message, and remembers its event before it returns.
func (s *Store) send(ctx context.Context, msg *nats.Msg, after uint64) (uint64, error) {
	now := s.era()
	commit := s.decodeAhead(now, msg)
	w, id, key := parseSubject(msg.Subject)
	if key != "" {
		position, err := s.appends.append(ctx, msg, after, commit)
		s.loseKept(err)
		return position, err
	}
	of := domain.Ref{Workspace: w, ID: id}
	defer s.last.begin(of, true)()
	position, err := s.appends.append(ctx, msg, after, commit)
	s.loseKept(err)
	switch {
	case err == nil:
		s.last.put(now, commit(position).lastCommit)
	case !notStored(err):
		s.last.forget(of) // there is a later one, or may be
	}
	return position, err
}

// settle finds out whether an append without an acknowledgement was stored.
func (s *Store) settle(ctx context.Context, to, command string, cause error) (uint64, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
	defer cancel()
	last, err := s.loadFromLeader(ctx, to)
	switch {
	case err == nil && command != "" && last.Meta.CommandID == command:
		return last.Position, nil
	case streams.IsConflict(cause):
		return 0, ErrConflict
	case err == nil: // the message may still be on its way, so the append has not failed for certain
		err = cause
	}
	return 0, domain.Wrap(fmt.Errorf("append to %s: %w", to, errors.Join(cause, err)), domain.Unavailable, "outcome_unknown",
		"the event log did not confirm the change; the change may or may not have been made. Read the integration, or repeat the request with the same Idempotency-Key")
}

// RecordProbe stores a probe result after the result at a position, outside the
// integration's history. It returns its position in the stream of probe results, or
// ErrConflict when another result already follows.
func (s *Store) RecordProbe(ctx context.Context, after uint64, e domain.IntegrationProbed, m domain.Metadata) (uint64, error) {
	return s.record(ctx, subject(probePrefix, e.Workspace, e.ID), e, m, jetstream.WithExpectLastSequencePerSubject(after))
}

// RecordCall stores that an endpoint was called, outside the integration's history.
// It returns the position in the stream of calls.
func (s *Store) RecordCall(ctx context.Context, e domain.IntegrationInvoked, m domain.Metadata) (uint64, error) {
	return s.record(ctx, subject(callPrefix, e.Workspace, e.ID), e, m)
}

func (s *Store) record(ctx context.Context, to string, e domain.Event, m domain.Metadata, on ...jetstream.PublishOpt) (uint64, error) {
	msg, err := s.message(ctx, to, e, m)
	if err != nil {
		return 0, fmt.Errorf("record on %s: %w", to, err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	ack, err := s.js.PublishMsg(ctx, msg, on...)
	switch {
	case streams.IsConflict(err):
		return 0, ErrConflict
	case err != nil:
		return 0, unavailable(err, "record on "+to)
	}
	return ack.Sequence, nil
}
