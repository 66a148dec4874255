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

// Metadata of a Watermill message. Its UUID is Event.ID, its payload Event.JSON.
const (
	MetaType        = "type"         // such as integration.created
	MetaTypeVersion = "type_version" // of the schema of the payload
	MetaTime        = "time"         // RFC 3339
	MetaPosition    = "position"
	MetaWorkspace   = "workspace_id"
	MetaID          = "integration_id"
	MetaActor       = "actor"
	MetaAddress     = "address"
	MetaRequestID   = "request_id"
	MetaTraceParent = "traceparent"
	MetaProblem     = "problem" // Event.Err; the payload is empty then
)

var errNacked = errors.New("the message was not acknowledged")

// Subscribe implements message.Subscriber of Watermill: it sends the events of a Topic
// as messages, those of one integration in order. A message that is not acknowledged is
// sent again after a pause. EventOf returns the event of a message.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	from, err := s.source(Topic(topic))
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

// Close implements message.Subscriber of Watermill: it ends all subscriptions and waits
// for them. It does not end Run.
func (s *Subscriber) Close() error {
	s.end()
	s.open.Wait()
	return nil
}

// send sends an event and waits until it is acknowledged or not.
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

// eventKey is the key of the event in the context of its message.
type eventKey struct{}

func newMessage(ctx context.Context, e Event) *message.Message {
	msg := message.NewMessage(e.ID, nil)
	msg.SetContext(context.WithValue(ctx, eventKey{}, e))
	msg.Metadata = message.Metadata{
		MetaTime: e.Time.Format(time.RFC3339Nano), MetaPosition: strconv.FormatUint(e.Position, 10), MetaWorkspace: e.Workspace,
		MetaID: e.Integration, MetaActor: e.Actor, MetaAddress: e.Address, MetaRequestID: e.RequestID, MetaTraceParent: e.TraceParent,
	}
	data, version, err := e.JSON()
	if err != nil {
		msg.Metadata[MetaProblem] = err.Error()
		return msg
	}
	msg.Payload = data
	msg.Metadata[MetaType], msg.Metadata[MetaTypeVersion] = string(e.Type), strconv.Itoa(version)
	return msg
}

// EventOf returns the event of a message that Subscribe sent, also after the message
// has passed through another queue. It returns an error for an event that can't be read.
func EventOf(msg *message.Message) (Event, error) {
	if e, ok := msg.Context().Value(eventKey{}).(Event); ok && e.Err == nil {
		return e, nil
	}
	e := Event{
		ID: msg.UUID, Type: Type(msg.Metadata[MetaType]), Workspace: msg.Metadata[MetaWorkspace], Integration: msg.Metadata[MetaID],
		Actor: msg.Metadata[MetaActor], Address: msg.Metadata[MetaAddress], RequestID: msg.Metadata[MetaRequestID], TraceParent: msg.Metadata[MetaTraceParent],
	}
	var version int
	_, err := fmt.Sscan(msg.Metadata[MetaPosition]+" "+msg.Metadata[MetaTypeVersion], &e.Position, &version)
	if err == nil {
		e.Time, err = time.Parse(time.RFC3339Nano, msg.Metadata[MetaTime])
	}
	if problem := msg.Metadata[MetaProblem]; problem != "" {
		err = errors.New(problem)
	}
	if err == nil {
		e.Event, err = eventstore.Codec().Decode(domain.Encoded{Name: string(e.Type), Version: version, Data: msg.Payload})
	}
	if err != nil {
		return Event{}, fmt.Errorf("message %s: %w", msg.UUID, err)
	}
	return e, nil
}
