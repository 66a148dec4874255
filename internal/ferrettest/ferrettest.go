// Package ferrettest runs FerretDB, which implements the protocol of MongoDB, in a
// process of its own, for machines without MongoDB. The program is test/servers/ferretd.
package ferrettest

import (
	"testing"

	"github.com/seed677028b5/integrations/internal/peers"
)

// Listen starts a server on loopback, on a folder of its own, and returns its URI. It
// ends with the test.
func Listen(t testing.TB) string {
	t.Helper()
	return run(t, "-listen", "127.0.0.1:0")
}

// ListenTLS is Listen over TLS, with a certificate and its key in files.
func ListenTLS(t testing.TB, certFile, keyFile string) string {
	t.Helper()
	return run(t, "-tls", "127.0.0.1:0", "-cert", certFile, "-key", keyFile)
}

func run(t testing.TB, args ...string) string {
	t.Helper()
	uri, cmd := peers.StartProgram(t, "ferretd", append(args, "-folder", t.TempDir())...)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return uri
}
