package embeddednats_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/embeddednats"
)

// A server that stalls for a moment accepts no connection, like one that was not
// started. That does not mean that a write failed.
func TestAServerThatStandsStillHasNotFailed(t *testing.T) {
	dir := t.TempDir()
	srv, err := server.NewServer(&server.Options{DontListen: true, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
	require.NoError(t, err)
	require.NotEmpty(t, srv.Healthz(&server.HealthzOptions{}).Error, "it reports that it is not healthy")
	require.NoError(t, embeddednats.Of(dir, srv).Failed())
	require.Error(t, embeddednats.Of(dir+"/gone", srv).Failed(), "a missing folder is a failure of the disk")
}

func TestAServerSyncsAndWantsItsPassword(t *testing.T) {
	s, err := embeddednats.Start(t.TempDir(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer s.Stop()
	durable, err := s.Durable(t.Context())
	require.NoError(t, err)
	require.True(t, durable)
	_, err = nats.Connect("nats://" + s.HostPort())
	require.ErrorIs(t, err, nats.ErrAuthorization)
	_, err = nats.Connect("nats://integrations:wrong@" + s.HostPort())
	require.ErrorIs(t, err, nats.ErrAuthorization)
	nc, err := nats.Connect(s.URL())
	require.NoError(t, err)
	nc.Close()
}

func TestConnectionsOfOtherProgramsAreCounted(t *testing.T) {
	s, err := embeddednats.Start(t.TempDir(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer s.Stop()
	requireOthers := func(want uint64, wantNone bool) {
		t.Helper()
		accepted, none, _ := s.Others()
		require.Equal(t, want, accepted)
		require.Equal(t, wantNone, none)
	}
	own, err := s.Connect()
	require.NoError(t, err)
	defer own.Close()
	_, err = nats.Connect("nats://" + s.HostPort())
	require.ErrorIs(t, err, nats.ErrAuthorization)
	requireOthers(0, true)
	_, _, another := s.Others()
	select {
	case <-another:
		t.Error("nobody else is connected")
	default:
	}

	first, err := nats.Connect(s.URL())
	require.NoError(t, err)
	requireOthers(1, false)
	<-another
	second, err := nats.Connect(s.URL())
	require.NoError(t, err)
	requireOthers(2, false)
	first.Close()
	requireOthers(2, false)
	second.Close()
	require.Eventually(t, func() bool { _, none, _ := s.Others(); return none }, time.Minute, time.Millisecond)
	requireOthers(2, true)
}

// The folder of the streams is moved away and put back, as a disk that fails and
// recovers. The clients reconnect to the same address.
func TestAServerRestartsWhenItsDiskIsBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "nats")
	s, err := embeddednats.Start(dir, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer s.Stop()
	go func() { _ = s.Watch(t.Context()) }()
	nc, err := s.Connect(nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "LOG", Subjects: []string{"log"}})
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), "log", []byte("1"))
	require.NoError(t, err)
	at := s.HostPort()

	require.NoError(t, os.Rename(dir, dir+".away"))
	require.Eventually(t, func() bool { return !nc.IsConnected() }, time.Minute, 10*time.Millisecond)
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.Rename(dir+".away", dir))
	require.Eventually(t, nc.IsConnected, time.Minute, 10*time.Millisecond)
	require.Equal(t, at, s.HostPort())
	var stream jetstream.Stream
	require.Eventually(t, func() bool { // the server takes connections before it has its streams
		stream, err = js.Stream(t.Context(), "LOG")
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	require.Equal(t, uint64(1), stream.CachedInfo().State.Msgs)
}
