package streams_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/streams"
)

func TestStreamsAreNoLongerCompressed(t *testing.T) {
	js := on(t, natstest.Connect(t))
	for name, compression := range map[string]jetstream.StoreCompression{"OLD": jetstream.S2Compression, "NEW": jetstream.NoCompression} {
		filled(t, js, jetstream.StreamConfig{Name: name, Subjects: []string{name + ".*"}, Compression: compression, DenyDelete: true, DenyPurge: true, AllowAtomicPublish: true})
	}
	for _, want := range [][]string{{"OLD"}, nil} {
		changed, err := streams.StopCompressing(t.Context(), js, []string{"NEW", "OLD", "NONE"})
		require.NoError(t, err)
		require.Equal(t, want, changed)
	}
	stream, err := js.Stream(t.Context(), "OLD")
	require.NoError(t, err)
	require.Equal(t, jetstream.NoCompression, stream.CachedInfo().Config.Compression)
	_, err = stream.GetMsg(t.Context(), 1)
	require.NoError(t, err, "compressed messages can still be read")
}
