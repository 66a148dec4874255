package connectors

import (
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed677028b5/integrations/domain"
)

// wantsCertificate starts an upstream that asks for a client certificate, and returns a
// registry that trusts it.
func wantsCertificate(t *testing.T, c *tls.Config, h http.HandlerFunc) (string, *Registry) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.TLS = c
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := filepath.Join(t.TempDir(), "roots.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(roots, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return server.URL, registry(t, Config{AllowLoopback: true, CAFile: roots})
}

func TestAnUpstreamThatWantsAClientCertificateIsReportedAsThat(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, method := range []string{"GET", "POST"} {
			base, r := wantsCertificate(t, &tls.Config{MinVersion: version, MaxVersion: version, ClientAuth: tls.RequireAnyClientCert}, func(http.ResponseWriter, *http.Request) {
				t.Error("the upstream was called")
			})
			c := calling(base, nil, func(e *domain.Endpoint) { e.Method = method })
			if got := failsWith(t, r, c, domain.CallSSLError); !strings.Contains(got.Error, "client certificate") {
				t.Errorf("%x %s: %s", version, method, got.Error)
			}
			if p := r.Probe(t.Context(), c.Integration, nil); p.Status != domain.SSLError || !strings.Contains(p.Message, "client certificate") {
				t.Errorf("%x: the probe came to %+v", version, p)
			}
		}
	}
}

func TestACertificateThatIsOnlyAskedForIsNotNeeded(t *testing.T) {
	base, r := wantsCertificate(t, &tls.Config{ClientAuth: tls.RequestClientCert}, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{}`)) })
	succeeds(t, r, calling(base, nil, nil))
}
