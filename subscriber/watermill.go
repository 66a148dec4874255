package subscriber

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// The metadata of a Watermill message. Its UUID is the id of the event, its payload the data as
// JSON.
const (
	MetaType        = "type"         // such as integration.created
	MetaTypeVersion = "type_version" // of the form of the payload
	MetaTime        = "time"         // RFC 3339
	MetaPosition    = "position"
	MetaWorkspace   = "workspace_id"
	MetaID          = "integration_id"
	MetaActor       = "actor"
	MetaAddress     = "address"
	MetaRequestID   = "request_id"
	MetaTraceParent = "traceparent"
	MetaProblem     = "problem" // why the event is unreadable; the payload is empty then
)

var errNacked = errors.New("the message was not acknowledged")

// Subscribe implements message.Subscriber of Watermill: it delivers the events of a topic as
// messages, those of one integration in sequence. A message that is not acknowledged is
// delivered again after a pause.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	from, err := s.source(topic)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ended, cancel)
	messages := make(chan *message.Message)
	s.open.Go(func() {
		defer close(messages)
		defer stop()
		defer cancel()
		err := s.deliver(ctx, from, func(ctx context.Context, e Event) error { return send(ctx, messages, e) })
		if err != nil {
			s.config.Log.ErrorContext(ctx, "a subscription ended", slog.String("topic", topic), slog.Any("err", err))
		}
	})
	return messages, nil
}

// Close implements message.Subscriber of Watermill: it ends the subscriptions and waits for
// them.
func (s *Subscriber) Close() error {
	s.end()
	s.open.Wait()
	return nil
}

// send delivers an event and waits until it is acknowledged or not.
func send(ctx context.Context, to chan<- *message.Message, e Event) error {
	msg := newMessage(ctx, e)
	select {
	case to <- msg:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-msg.Acked():
		return nil
	case <-msg.Nacked():
		return errNacked
	case <-ctx.Done():
		return ctx.Err()
	}
}

// eventKey is the context key of a message's event.
type eventKey struct{}

func newMessage(ctx context.Context, e Event) *message.Message {
	msg := message.NewMessage(e.Meta.CommandID, nil)
	msg.SetContext(context.WithValue(ctx, eventKey{}, e))
	msg.Metadata = message.Metadata{
		MetaTime: e.Meta.At.Format(time.RFC3339Nano), MetaPosition: strconv.FormatUint(e.Position, 10), MetaWorkspace: string(e.Workspace),
		MetaID: string(e.ID), MetaActor: e.Meta.Actor, MetaAddress: e.Meta.Address, MetaRequestID: e.Meta.RequestID, MetaTraceParent: e.Meta.TraceParent,
	}
	encoded, err := domain.Encoded{}, e.Err
	if err == nil {
		encoded, err = eventstore.Codec().Encode(e.Event)
	}
	if err != nil {
		msg.Metadata[MetaProblem] = err.Error()
		return msg
	}
	msg.Payload = encoded.Data
	msg.Metadata[MetaType], msg.Metadata[MetaTypeVersion] = encoded.Name, strconv.Itoa(encoded.Version)
	return msg
}

// EventOf returns the event of a message from Subscribe, even if the message has gone through
// another queue since.
func EventOf(msg *message.Message) (Event, error) {
	if e, ok := msg.Context().Value(eventKey{}).(Event); ok && e.Err == nil {
		return e, nil
	}
	e := Event{Workspace: domain.Workspace(msg.Metadata[MetaWorkspace]), ID: domain.ID(msg.Metadata[MetaID])}
	e.Meta = domain.Metadata{
		CommandID: msg.UUID, Actor: msg.Metadata[MetaActor], Address: msg.Metadata[MetaAddress],
		RequestID: msg.Metadata[MetaRequestID], TraceParent: msg.Metadata[MetaTraceParent],
	}
	var version int
	_, err := fmt.Sscan(msg.Metadata[MetaPosition]+" "+msg.Metadata[MetaTypeVersion], &e.Position, &version)
	if err == nil {
		e.Meta.At, err = time.Parse(time.RFC3339Nano, msg.Metadata[MetaTime])
	}
	if problem := msg.Metadata[MetaProblem]; problem != "" {
		err = errors.New(problem)
	}
	if err == nil {
		e.Event, err = eventstore.Codec().Decode(domain.Encoded{Name: msg.Metadata[MetaType], Version: version, Data: msg.Payload})
	}
	if err != nil {
		return Event{}, fmt.Errorf("message %s: %w", msg.UUID, err)
	}
	return e, nil
}
