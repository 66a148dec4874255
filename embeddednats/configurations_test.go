package embeddednats_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/embeddednats"
)

// onServer uses a server on a folder, and ends it.
func onServer(t *testing.T, dir string, use func(js jetstream.JetStream)) {
	t.Helper()
	s, err := embeddednats.Start(dir, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer s.Stop()
	nc, err := s.Connect()
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	use(js)
}

// A server writes the configuration of a stream, then its checksum. It may be killed in between, and
// finds no stream at its next start.
func TestAStreamOutlivesAServerThatIsKilledWhileItsLimitsChange(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, stream string){
		"between the two files": nil,
		"a damaged file": func(t *testing.T, stream string) {
			t.Helper()
			config, err := os.Stat(filepath.Join(stream, "meta.inf"))
			require.NoError(t, err)
			later := config.ModTime().Add(time.Millisecond)
			require.NoError(t, os.Chtimes(filepath.Join(stream, "meta.sum"), later, later))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			config := jetstream.StreamConfig{Name: "LOG", Subjects: []string{"log.*"}}
			onServer(t, dir, func(js jetstream.JetStream) {
				_, err := js.CreateStream(t.Context(), config)
				require.NoError(t, err)
				_, err = js.Publish(t.Context(), "log.one", []byte("kept"))
				require.NoError(t, err)
			})
			streams, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "LOG"))
			require.NoError(t, err)
			require.Len(t, streams, 1)
			sum := filepath.Join(streams[0], "meta.sum")
			before, err := os.ReadFile(sum)
			require.NoError(t, err)
			written, err := os.Stat(sum)
			require.NoError(t, err)
			onServer(t, dir, func(js jetstream.JetStream) {
				config.MaxMsgSize = 1
				_, err := js.UpdateStream(t.Context(), config)
				require.NoError(t, err)
			})
			require.NoError(t, os.WriteFile(sum, before, 0o600))
			require.NoError(t, os.Chtimes(sum, written.ModTime(), written.ModTime()))
			if damage != nil {
				damage(t, streams[0])
			}
			onServer(t, dir, func(js jetstream.JetStream) {
				stream, err := js.Stream(t.Context(), "LOG")
				if damage != nil {
					require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
					return
				}
				require.NoError(t, err)
				require.EqualValues(t, 1, stream.CachedInfo().Config.MaxMsgSize)
				message, err := stream.GetMsg(t.Context(), 1)
				require.NoError(t, err)
				require.Equal(t, "kept", string(message.Data))
			})
		})
	}
}
