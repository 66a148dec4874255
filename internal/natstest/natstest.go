// Package natstest runs a real JetStream server inside the test process.
package natstest

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Connect starts a server on a folder of its own, with no listening port, and
// returns a connection to it. Both go away with the test.
func Connect(t testing.TB) *nats.Conn {
	t.Helper()
	nc, stop := Start(t, t.TempDir())
	t.Cleanup(stop)
	return nc
}

// Start starts a server on dir that syncs before it acknowledges, and returns
// a connection to it and a function that ends both. A second server may be
// started on the same folder after that.
func Start(t testing.TB, dir string) (*nats.Conn, func()) {
	t.Helper()
	srv, err := server.NewServer(&server.Options{
		DontListen: true, JetStream: true, StoreDir: dir, SyncAlways: true, NoSigs: true, NoLog: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS did not start")
	}
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	if err != nil {
		t.Fatal(err)
	}
	return nc, func() {
		nc.Close()
		srv.Shutdown()
		srv.WaitForShutdown()
	}
}
