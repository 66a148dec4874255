package main

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
)

// A server that stands still for a moment takes no connection, as one does that has
// not been started. Nothing of that says that a write failed.
func TestAServerThatStandsStillHasNotFailed(t *testing.T) {
	dir := t.TempDir()
	srv, err := server.NewServer(&server.Options{DontListen: true, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
	require.NoError(t, err)
	require.NotEmpty(t, srv.Healthz(&server.HealthzOptions{}).Error, "it finds itself not healthy")
	e := &embedded{dir: dir}
	e.running.Store(srv)
	require.NoError(t, e.failed())

	e.dir = dir + "/gone"
	require.Error(t, e.failed(), "a folder that is gone is a failure of the disk")
}
