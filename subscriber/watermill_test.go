package subscriber_test

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/subscriber"
)

func TestEventsRunThroughAWatermillRouter(t *testing.T) {
	l := newLog(t)
	var want []uint64
	for range 30 {
		want = append(want, l.change("acme", "crm"))
	}
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NewSlogLogger(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	var got []uint64
	failed := map[string]bool{}
	router.AddConsumerHandler("crm-sync", string(subscriber.Changes("acme")), l.subscriber(subscriber.Config{Name: "crm-sync"}), func(msg *message.Message) error {
		e, err := subscriber.EventOf(msg)
		if err != nil {
			return err
		}
		if !failed[msg.UUID] {
			failed[msg.UUID] = true
			return errors.New("not yet")
		}
		if got = append(got, e.Position); len(got) == len(want) {
			go func() { _ = router.Close() }()
		}
		return nil
	})
	require.NoError(t, router.Run(t.Context()))
	require.Equal(t, want, got)
}

func TestAMessageIsReadBackAsItsEvent(t *testing.T) {
	l := newLog(t)
	position := l.change("acme", "crm")
	s := l.subscriber(subscriber.Config{})
	messages, err := s.Subscribe(t.Context(), string(subscriber.Changes("acme")))
	require.NoError(t, err)
	msg := <-messages
	got, err := subscriber.EventOf(msg)
	require.NoError(t, err)
	moved := message.NewMessage(msg.UUID, msg.Payload) // as another queue hands it on
	moved.Metadata = msg.Metadata
	again, err := subscriber.EventOf(moved)
	require.NoError(t, err)
	require.Equal(t, got, again)
	stored, _, err := l.events.Page(t.Context(), eventstore.Selection{}, position-1, 1)
	require.NoError(t, err)
	require.Equal(t, stored[0].Event, got.Event)
	require.Equal(t, subscriber.Event{
		ID: stored[0].Meta.CommandID, Type: subscriber.Created, Position: position, Time: noon, Workspace: "acme", Integration: string(stored[0].ID),
		Actor: "key-1", Address: "192.0.2.7", RequestID: "req-1", TraceParent: "00-1-2-01", Event: stored[0].Event,
	}, got)
	require.Equal(t, "integration.created", msg.Metadata[subscriber.MetaType])
	require.NoError(t, s.Close())
	_, open := <-messages
	require.False(t, open, "the messages end with the subscriber")
}

func TestAMessageThatIsNotAnEventIsRefused(t *testing.T) {
	for _, msg := range []*message.Message{
		message.NewMessage("1", nil),
		{UUID: "2", Metadata: message.Metadata{subscriber.MetaPosition: "1", subscriber.MetaTypeVersion: "1", subscriber.MetaTime: "2026-05-06T12:00:00Z", subscriber.MetaType: "unknown"}},
		{UUID: "3", Metadata: message.Metadata{subscriber.MetaProblem: "can't be read"}},
	} {
		_, err := subscriber.EventOf(msg)
		require.Error(t, err, fmt.Sprint("message ", msg.UUID))
	}
}

var _ message.Subscriber = (*subscriber.Subscriber)(nil)
