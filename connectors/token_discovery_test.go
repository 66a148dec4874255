package connectors

import (
	"crypto/elliptic"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed677028b5/integrations/domain"
)

// naming is a server whose SMART configuration is what the test stores.
func naming(t *testing.T, configuration *atomic.Value) string {
	t.Helper()
	return startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/r4/.well-known/smart-configuration" {
			if r.Header.Get("Authorization") != "" {
				t.Error("a credential went to the discovery")
			}
			_, _ = io.WriteString(w, configuration.Load().(string))
			return
		}
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer token-") {
			w.WriteHeader(http.StatusNotFound)
		}
	}) + "/r4/"
}

func backendService() domain.Auth {
	return domain.Auth{Type: domain.SMARTBackendServices, ClientID: "app", AssertionAlgorithm: "ES384"}
}

func TestADiscoveredTokenEndpointStaysWhereItWas(t *testing.T) {
	short := func(n int) string { return `{"access_token": "token-1", "expires_in": 0}` }
	first, moved := issues(t, short), issues(t, short)
	var configuration atomic.Value
	configuration.Store(`{"token_endpoint": "` + first.url + `"}`)
	base := naming(t, &configuration)
	r := onLoopback(t)
	key := sec1(t, ecKey(t, elliptic.P384()))
	c := byToken(calling(base, nil, nil), backendService(), key)
	succeeds(t, r, c)
	configuration.Store(`{"token_endpoint": "` + first.url + `/v2"}`) // of the same origin
	succeeds(t, r, c)
	configuration.Store(`{"token_endpoint": "` + moved.url + `"}`)
	got := failsWith(t, r, c, domain.CallMisconfigured)
	if !strings.Contains(got.Error, domain.Origin(moved.url)+" by now") || !strings.Contains(got.Error, domain.Origin(first.url)) || len(moved.requests()) != 0 {
		t.Errorf("the finding is %s", got.Error)
	}
	if p := r.Probe(t.Context(), c.Integration, c.Keyring); p.Status != domain.Misconfigured || p.AuthResolved {
		t.Errorf("the probe came to %+v", p)
	}
	given := c // the key was given again
	auth := *c.Integration.Auth
	given.Integration.Auth = &auth
	other(&given, func(ref *domain.SecretRef) { ref.Version++ })
	succeeds(t, r, given)
	failsWith(t, r, c, domain.CallMisconfigured)
}

func TestASMARTConfigurationIsNotBelievedBlindly(t *testing.T) {
	key := sec1(t, ecKey(t, elliptic.P384()))
	for want, text := range map[string]string{
		"names no token_endpoint": `{}`,
		"token_url":               `<html>`,
		"not an http or https":    `{"token_endpoint": "file:///etc/passwd"}`,
		"or https URL":            `{"token_endpoint": "/token"}`,
		"http or https URL":       `{"token_endpoint": "https://user:pass@example.com/token"}`,
	} {
		var configuration atomic.Value
		configuration.Store(text)
		got := failsWith(t, onLoopback(t), byToken(calling(naming(t, &configuration), nil, nil), backendService(), key), domain.CallMisconfigured)
		if !strings.Contains(got.Error, want) {
			t.Errorf("%s: %s", text, got.Error)
		}
	}
	var configuration atomic.Value
	configuration.Store(`{"token_endpoint": "http://169.254.169.254/token"}`)
	failsWith(t, onLoopback(t), byToken(calling(naming(t, &configuration), nil, nil), backendService(), key), domain.CallBlockedDestination)
	got := failsWith(t, onLoopback(t), byToken(calling(answers(t, 404, ""), nil, nil), backendService(), key), domain.CallMisconfigured)
	if !strings.Contains(got.Error, "no SMART configuration") || !strings.Contains(got.Error, "token_url") {
		t.Errorf("got %s", got.Error)
	}
}
