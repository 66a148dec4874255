// Package natstest runs a real JetStream server inside the test process, or
// beside it to be killed.
package natstest

import (
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Connect starts a server on a folder of its own, with no listening port, and
// returns a connection to it. Both end with the test. With
// NATS_URLS, the connection is to an empty account of one of those servers instead.
func Connect(t testing.TB) *nats.Conn {
	t.Helper()
	if all := accounts(); all != nil {
		return borrow(t, all)
	}
	nc, stop := Start(t, t.TempDir())
	t.Cleanup(stop)
	return nc
}

// Start starts a server on dir that syncs before it acknowledges, and returns
// a connection to it and a function that ends both. A second server may be
// started on the same folder after that.
func Start(t testing.TB, dir string) (*nats.Conn, func()) {
	t.Helper()
	srv := serve(t, &server.Options{DontListen: true, StoreDir: dir})
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

// Listen starts a server that listens on loopback and goes away with the test,
// and returns its address.
func Listen(t testing.TB) string {
	t.Helper()
	srv := serve(t, &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, StoreDir: t.TempDir()})
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	return srv.Addr().String()
}

// ListenOn starts a server on dir that listens on address, and returns where it
// listens and a function that ends it. It may be started again there after that.
func ListenOn(t testing.TB, dir, address string) (string, func()) {
	t.Helper()
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	port := at.Port
	if port == 0 {
		port = server.RANDOM_PORT
	}
	srv := serve(t, &server.Options{Host: at.IP.String(), Port: port, StoreDir: dir})
	return srv.Addr().String(), func() { srv.Shutdown(); srv.WaitForShutdown() }
}

// ListenMonitored is Listen with a monitoring port. It returns the address and
// the base URL of that port. The server syncs before it acknowledges or doesn't.
func ListenMonitored(t testing.TB, syncs bool) (address, monitor string) {
	t.Helper()
	srv := start(t, &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, HTTPHost: "127.0.0.1", HTTPPort: server.RANDOM_PORT, StoreDir: t.TempDir(), SyncAlways: syncs,
	})
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	return srv.Addr().String(), "http://" + srv.MonitorAddr().String()
}

func serve(t testing.TB, o *server.Options) *server.Server {
	t.Helper()
	o.SyncAlways = true
	return start(t, o)
}

func start(t testing.TB, o *server.Options) *server.Server {
	t.Helper()
	o.JetStream, o.NoSigs, o.NoLog = true, true, true
	srv, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	if !srv.ReadyForConnections(time.Minute) {
		t.Fatal("NATS did not start")
	}
	return srv
}
