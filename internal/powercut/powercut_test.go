package powercut_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/internal/powercut"
)

const stream = "LOG"

// The control of every test that cuts power: where nothing is synced, the cut
// takes what was acknowledged, and where everything is, it takes nothing.
func TestAPowerCutTakesWhatWasNotSynced(t *testing.T) {
	const published = 500
	t.Run("a server that syncs before it acknowledges loses nothing", func(t *testing.T) {
		require.Equal(t, published, keptOf(t, published, true))
	})
	t.Run("a server that syncs when it thinks fit loses what it acknowledged", func(t *testing.T) {
		require.Less(t, keptOf(t, published, false), published)
	})
}

// keptOf publishes to a server, cuts its power when all is acknowledged, and
// returns how much is there when the power is back.
func keptOf(t *testing.T, published int, syncs bool) int {
	t.Helper()
	disk := powercut.New(t)
	server := natstest.Spawn(t, disk.Dir(), syncs)
	js := connect(t, server.URL)
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: stream, Subjects: []string{"log.>"}})
	require.NoError(t, err)
	disk.Sync() // the stream itself stays
	for n := range published {
		_, err := js.Publish(t.Context(), fmt.Sprint("log.", n), []byte("acknowledged"))
		require.NoError(t, err)
	}
	disk.Cut(server.Running())
	server.Kill()
	disk.Mount()
	server.Start()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s, err := connect(t, server.URL).Stream(ctx, stream)
	require.NoError(t, err)
	kept := int(s.CachedInfo().State.Msgs)
	t.Logf("%d of %d acknowledged messages are there", kept, published)
	return kept
}

func connect(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js
}
