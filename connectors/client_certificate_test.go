package connectors

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
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

// certified gives an auth a client certificate, and a call the key of it.
func certified(t *testing.T, c domain.Call, a domain.Auth, secrets map[string]string) domain.Call {
	t.Helper()
	a.ClientCertificate = vendorCertificate(t)
	secrets[domain.ClientKeyField] = pkcs8(t, rsaKey(t))
	a.Secrets = map[string]domain.SecretRef{}
	for field := range secrets {
		ref := domain.SecretRef{ID: field, Field: field, Version: 1}
		for _, target := range []string{c.Integration.BaseURL, c.Integration.MCPURL, a.TokenURL} {
			if target != "" {
				ref.Destinations = append(ref.Destinations, domain.Origin(target)+" place")
			}
		}
		a.Secrets[field] = ref
	}
	c.Integration.Auth = &a
	c.Keyring = func(_ context.Context, ref domain.SecretRef) (domain.Secret, error) {
		return domain.NewSecret(secrets[ref.ID]), nil
	}
	return c
}

func TestACertificateIsPresentedToTheUpstreamAndToTheTokenEndpoint(t *testing.T) {
	var names []string
	base, r := wantsCertificate(t, &tls.Config{ClientAuth: tls.RequireAnyClientCert}, func(w http.ResponseWriter, r *http.Request) {
		names = append(names, r.URL.Path+" "+r.TLS.PeerCertificates[0].Subject.CommonName)
		if r.URL.Path == "/token" {
			_ = r.ParseForm()
			if r.Form.Get("client_id") != "app" || r.Form.Has("client_secret") || r.Header.Get("Authorization") != "" {
				t.Errorf("the token request has %v", r.Form)
			}
			_, _ = w.Write([]byte(`{"access_token": "token-1"}`))
			return
		}
		if r.Header.Get("Authorization") != "Bearer token-1" {
			t.Errorf("got %v", r.Header)
		}
		_, _ = w.Write([]byte(`{}`))
	})
	a := clientCredentials(base + "/token")
	a.ClientAuthMethod = "tls" // RFC 8705, 2.1
	c := certified(t, calling(base, nil, nil), a, map[string]string{})
	succeeds(t, r, c)
	if !slices.Equal(names, []string{"/token clinic", "/ clinic"}) {
		t.Errorf("got %q", names)
	}
	other := certified(t, calling(base, nil, nil), domain.Auth{Type: domain.TLSCertificate}, map[string]string{})
	other.Integration.BaseURL = "https://elsewhere.example"
	if got := failsWith(t, r, other, domain.CallMisconfigured).Error; !strings.Contains(got, "another destination") {
		t.Errorf("got %s", got)
	}
}

// A connection that was opened with a certificate carries no other's requests.
func TestACertificateIsPresentedForItsOwnerOnly(t *testing.T) {
	with := map[bool]int{}
	base, r := wantsCertificate(t, &tls.Config{ClientAuth: tls.RequestClientCert}, func(w http.ResponseWriter, r *http.Request) {
		with[len(r.TLS.PeerCertificates) > 0]++
		_, _ = w.Write([]byte(`{}`))
	})
	succeeds(t, r, certified(t, calling(base, nil, nil), domain.Auth{Type: domain.TLSCertificate}, map[string]string{}))
	succeeds(t, r, calling(base, nil, nil))
	succeeds(t, r, certified(t, calling(base, nil, nil), domain.Auth{Type: domain.TLSCertificate}, map[string]string{}))
	if with[true] != 2 || with[false] != 1 {
		t.Errorf("got %v", with)
	}
}
