package streams_test

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/streams"
)

// filled returns a stream with some messages.
func filled(t *testing.T, js jetstream.JetStream, cfg jetstream.StreamConfig) jetstream.Stream {
	t.Helper()
	stream, err := streams.Ensure(t.Context(), js, cfg)
	require.NoError(t, err)
	for range 3 {
		_, err := js.Publish(t.Context(), cfg.Name+".first", nil)
		require.NoError(t, err)
	}
	return stream
}

var deletes = map[string]func(context.Context, jetstream.JetStream, jetstream.Stream, uint64) error{
	"plainly": streams.Delete, "securely": streams.SecureDelete,
}

func TestDeletingAMessageThatIsGoneSucceeds(t *testing.T) {
	js := on(t, natstest.Connect(t))
	for how, del := range deletes {
		stream := filled(t, js, jetstream.StreamConfig{Name: how, Subjects: []string{how + ".*"}, AllowDirect: true})
		for range 2 {
			require.NoError(t, del(t.Context(), js, stream, 2), how)
		}
		_, err := stream.GetMsg(t.Context(), 2)
		require.ErrorIs(t, err, jetstream.ErrMsgNotFound, how)
		_, err = stream.GetMsg(t.Context(), 1)
		require.NoError(t, err, how)
		require.NoError(t, stream.Purge(t.Context()))
		require.NoError(t, del(t.Context(), js, stream, 1), how)
	}
}

func TestDeletingAMessageThatStaysFails(t *testing.T) {
	js := on(t, natstest.Connect(t))
	for how, del := range deletes {
		stream := filled(t, js, jetstream.StreamConfig{Name: how, Subjects: []string{how + ".*"}, DenyDelete: true})
		require.ErrorIs(t, del(t.Context(), js, stream, 2), jetstream.ErrMsgDeleteUnsuccessful, how)
	}
}

func TestDeletingWithoutNATSFails(t *testing.T) {
	nc, end := natstest.Start(t, t.TempDir())
	js := on(t, nc)
	stream := filled(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"S.*"}})
	end()
	for how, del := range deletes {
		require.Error(t, del(t.Context(), js, stream, 2), how)
	}
}
