// Package ferrettest runs FerretDB inside the test process, which speaks the
// protocol of MongoDB, for where there is no MongoDB.
package ferrettest

import (
	"context"
	"log/slog"
	"testing"

	"github.com/FerretDB/FerretDB/ferretdb"
)

// Listen starts a server on loopback, on a folder of its own, and returns its
// URI. It goes away with the test.
func Listen(t testing.TB) string {
	t.Helper()
	return run(t, ferretdb.ListenerConfig{TCP: "127.0.0.1:0"})
}

// ListenTLS is Listen over TLS, with a certificate and its key in files.
func ListenTLS(t testing.TB, certFile, keyFile string) string {
	t.Helper()
	return run(t, ferretdb.ListenerConfig{TLS: "127.0.0.1:0", TLSCertFile: certFile, TLSKeyFile: keyFile})
}

func run(t testing.TB, on ferretdb.ListenerConfig) string {
	t.Helper()
	f, err := ferretdb.New(&ferretdb.Config{
		Listener: on, Handler: "sqlite",
		SQLiteURL: "file:" + t.TempDir() + "/", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- f.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	return f.MongoDBURI()
}
