package eventstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
)

const (
	deadName   = "DEAD_LETTERS"
	deadPrefix = "deadletters."
)

// The headers of a dead letter. The headers of the event get originalPrefix, because
// the server would act on some of their names.
const (
	headerDeadSubject  = "dead-subject"
	headerDeadPosition = "dead-position"
	headerDeadReason   = "dead-reason"
	originalPrefix     = "original-"
)

// deadLetterConfig bounds the stream of dead letters. The events themselves stay in the log.
func deadLetterConfig(cfg Config) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: deadName, Subjects: []string{deadPrefix + "*.*"}, AllowDirect: true, Replicas: cfg.Replicas,
		MaxMsgsPerSubject: 1000, MaxAge: 30 * 24 * time.Hour,
	}
}

// A DeadLetter records an event that could not be applied.
type DeadLetter struct {
	Workspace domain.Workspace `json:"workspace_id"`
	ID        domain.ID        `json:"integration_id"`
	Position  uint64           `json:"position"` // of the event in the log
	Reason    string           `json:"reason"`
	At        time.Time        `json:"at"` // when it was found
}

// DeadLetter records that the event at a position of an integration can't be applied,
// together with the stored event. It is recorded once, however many processes report
// it and however often.
func (s *Store) DeadLetter(ctx context.Context, w domain.Workspace, id domain.ID, position uint64, reason string) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	msg, err := s.deadLetter(ctx, subject(deadPrefix, w, id), position, reason)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		last, recorded, err := s.lastDeadLetter(ctx, msg.Subject)
		if err != nil || recorded >= position { // an integration's events are processed in order
			return err
		}
		_, err = s.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(last))
		switch {
		case err == nil:
			return nil
		case !streams.IsConflict(err):
			return unavailable(err, "record a dead letter")
		}
	}
	return unavailable(ctx.Err(), "record a dead letter")
}

// deadLetter returns the message that records an event. If it would be too large it
// omits the data, which is in the log.
func (s *Store) deadLetter(ctx context.Context, to string, position uint64, reason string) (*nats.Msg, error) {
	event, err := s.log.GetMsg(ctx, position)
	if err != nil {
		return nil, unavailable(err, "read the event of a dead letter")
	}
	s.last.notice(event.Subject, position)
	msg := &nats.Msg{Subject: to, Data: event.Data, Header: nats.Header{
		headerDeadSubject: {event.Subject}, headerDeadPosition: {strconv.FormatUint(position, 10)},
		headerDeadReason: {strings.Map(oneLine, reason)},
	}}
	for name, values := range event.Header {
		msg.Header[originalPrefix+name] = values
	}
	if int64(msg.Size()) > s.nc.MaxPayload() {
		msg.Data = nil
	}
	return msg, nil
}

// oneLine replaces characters that would end a header.
func oneLine(r rune) rune {
	if r == '\n' || r == '\r' {
		return ' '
	}
	return r
}

// lastDeadLetter returns the sequence of the last dead letter on a subject, and the position
// of its event.
func (s *Store) lastDeadLetter(ctx context.Context, subject string) (sequence, position uint64, err error) {
	stream, err := s.js.Stream(ctx, deadName)
	if err != nil {
		return 0, 0, unavailable(err, "read dead letters")
	}
	msg, err := stream.GetLastMsgForSubject(ctx, subject)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return 0, 0, nil
	case err != nil:
		return 0, 0, unavailable(err, "read dead letters")
	}
	letter, err := readDeadLetter(msg)
	return msg.Sequence, letter.Position, err
}

func readDeadLetter(msg *jetstream.RawStreamMsg) (DeadLetter, error) {
	position, err := strconv.ParseUint(msg.Header.Get(headerDeadPosition), 10, 64)
	if err != nil {
		return DeadLetter{}, fmt.Errorf("dead letter %d: %w", msg.Sequence, err)
	}
	w, id, _ := parseSubject(msg.Subject)
	return DeadLetter{Workspace: w, ID: id, Position: position, Reason: msg.Header.Get(headerDeadReason), At: msg.Time}, nil
}

// DeadLetters returns the latest dead letters, newest first, and how many there are
// in total.
func (s *Store) DeadLetters(ctx context.Context, limit int) (letters []DeadLetter, total uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	stream, err := s.js.Stream(ctx, deadName)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound): // no service of this version has run yet
		return nil, 0, nil
	case err != nil:
		return nil, 0, unavailable(err, "read dead letters")
	}
	state := stream.CachedInfo().State
	for sequence := state.LastSeq; sequence >= max(state.FirstSeq, 1) && len(letters) < limit; sequence-- {
		msg, err := stream.GetMsg(ctx, sequence)
		if errors.Is(err, jetstream.ErrMsgNotFound) { // dropped by a limit
			continue
		}
		if err != nil {
			return nil, 0, unavailable(err, "read dead letters")
		}
		letter, err := readDeadLetter(msg)
		if err != nil {
			return nil, 0, err
		}
		letters = append(letters, letter)
	}
	return letters, state.Msgs, nil
}

// StreamSize is the size of a stream.
type StreamSize struct {
	Name     string `json:"name"`
	Messages uint64 `json:"messages"`
	Bytes    uint64 `json:"bytes"`
}

// Streams returns the size of every stream of the NATS account, by name.
func (s *Store) Streams(ctx context.Context) ([]StreamSize, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var all []StreamSize
	list := s.js.ListStreams(ctx)
	for info := range list.Info() {
		all = append(all, StreamSize{Name: info.Config.Name, Messages: info.State.Msgs, Bytes: info.State.Bytes})
	}
	if err := list.Err(); err != nil {
		return nil, unavailable(err, "list streams")
	}
	slices.SortFunc(all, func(a, b StreamSize) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}
