package eventstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed677028b5/integrations/streams"
)

// The streams whose messages are an audit trail, for Messages.
const (
	StreamOfIntegrations = logName
	StreamOfCalls        = callName
	StreamOfApprovals    = approvalName
)

// A Message is a stored message as it is, not decoded.
type Message struct {
	Subject  string
	Position uint64
	Time     time.Time // when it was stored, with nanoseconds
	Header   nats.Header
	Data     []byte
}

// Messages yields the messages of a stream after a position and up to another one, which are on
// the subjects of a filter, ">" for all. Where positions are missing it first confirms with the
// leader of the stream that it has no message there either: then it skips them, else it ends
// with an error. ErrOtherLog means that the log was replaced.
func (s *Store) Messages(ctx context.Context, stream, filter string, after, to uint64) iter.Seq2[[]Message, error] {
	return func(yield func([]Message, error) bool) {
		reading, end := s.startReading(ctx)
		defer end()
		removed, err := s.removedFrom(reading, stream)
		if err != nil {
			yield(nil, err)
			return
		}
		at := after
		err = s.readUpTo(reading, stream, filter, removed, after, to, func(batch []Message) bool {
			at = batch[len(batch)-1].Position
			return yield(batch, nil)
		})
		switch {
		case errors.Is(err, errStopped):
			return
		case err == nil:
			if err = s.confirmGap(reading, stream, filter, removed, at, to+1); err == nil {
				return
			}
		}
		if errors.Is(context.Cause(reading), ErrOtherLog) {
			err = ErrOtherLog
		} else if ctx.Err() == nil {
			err = unavailable(err, "read "+stream)
		}
		yield(nil, err)
	}
}

// errStopped means that a caller needs no more.
var errStopped = errors.New("stopped")

func (s *Store) readUpTo(ctx context.Context, stream, filter string, removed *Positions, after, to uint64, take func([]Message) bool) error {
	first, err := streams.NextFromLeader(ctx, s.nc, stream, filter, after+1)
	if err != nil || first == nil || first.Sequence > to {
		return err
	}
	ctx, cancel := context.WithCancel(ctx) // ends the consumer
	defer cancel()
	messages, err := s.consume(ctx, stream, []string{filter}, after)
	if err != nil {
		return err
	}
	for at := after; ; {
		batch, err := s.nextUpTo(ctx, messages, stream, filter, at, to)
		if err != nil || len(batch) == 0 {
			return err
		}
		all := make([]Message, 0, len(batch))
		ended := false
		for _, m := range batch {
			if m.sequence > to {
				ended = true
				break
			}
			if err := s.confirmGap(ctx, stream, filter, removed, at, m.sequence); err != nil {
				return err
			}
			if at = m.sequence; m.pending == 0 || at == to {
				ended = true
			}
			stored, err := stored(m)
			if err != nil {
				return err
			}
			s.last.notice(stored.Subject, stored.Position)
			all = append(all, stored)
		}
		if len(all) > 0 && !take(all) {
			return errStopped
		}
		if ended {
			return nil
		}
	}
}

// nextUpTo is next for messages after a position and up to another one. It returns none when the leader
// of the stream has none there that can be read either: the state of a stream counts also what is damaged.
func (s *Store) nextUpTo(ctx context.Context, messages <-chan sequenced, stream, filter string, after, to uint64) ([]sequenced, error) {
	for waited := time.Duration(0); ; waited += idleCheck {
		patient, cancel := context.WithTimeout(ctx, idleCheck)
		batch, err := next(patient, messages)
		cancel()
		if err == nil || patient.Err() == nil || ctx.Err() != nil {
			return batch, err
		}
		first, err := streams.NextFromLeader(ctx, s.nc, stream, filter, after+1)
		if err != nil || first == nil || first.Sequence > to {
			return nil, err
		}
		if waited >= replicaGives {
			return nil, fmt.Errorf("%w: it has no message %d", errBehind, first.Sequence)
		}
	}
}

func stored(m sequenced) (Message, error) {
	meta, err := m.msg.Metadata()
	if err != nil {
		return Message{}, err
	}
	return Message{m.msg.Subject(), m.sequence, meta.Timestamp, m.msg.Headers(), m.msg.Data()}, nil
}

// confirmGap returns an error unless the leader of a stream has no message on a filter between
// two positions either. What was removed needs no confirmation.
func (s *Store) confirmGap(ctx context.Context, stream, filter string, removed *Positions, after, before uint64) error {
	if len(removed.Others(after+1, before-1)) == 0 {
		return nil
	}
	first, err := streams.NextFromLeader(ctx, s.nc, stream, filter, after+1)
	if err == nil && first != nil && first.Sequence < before {
		err = fmt.Errorf("%w: it has no message %d", errBehind, first.Sequence)
	}
	return err
}

// MessageFrom returns the first message at or after a position as the leader of its stream
// has it, and whether there is one.
func (s *Store) MessageFrom(ctx context.Context, stream string, position uint64) (Message, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	m, err := streams.NextFromLeader(ctx, s.nc, stream, ">", position)
	if err != nil {
		return Message{}, false, unavailable(err, "read "+stream)
	}
	if m == nil {
		return Message{}, false, nil
	}
	s.last.notice(m.Subject, m.Sequence)
	return Message{Subject: m.Subject, Position: m.Sequence, Time: m.Time, Header: m.Header, Data: m.Data}, true, nil
}

// Bounds is what a stream holds, as its leader has it.
type Bounds struct {
	First   uint64    // the position of the first message, or the next one if there is none
	Last    uint64    // the last position, also when its message is gone
	Created time.Time // another time is another stream
}

// Bounds returns what a stream holds.
func (s *Store) Bounds(ctx context.Context, stream string) (Bounds, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	info, err := streams.Info(ctx, s.js, stream)
	if err != nil {
		return Bounds{}, unavailable(err, "read the state of "+stream)
	}
	return Bounds{First: info.State.FirstSeq, Last: info.State.LastSeq, Created: streamCreated(info)}, nil
}
