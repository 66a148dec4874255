package connectors

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

// withHeaders gives a call the headers of its integration: a version, and a secret key.
func withHeaders(c domain.Call) domain.Call {
	version := "2022-06-28"
	c.Integration.Headers = map[string]*string{"X-Version": &version, "Accept": new("application/vnd.api+json"), "X-Second-Key": nil}
	c.Integration.HeaderSecrets = map[string]domain.SecretRef{
		"X-Second-Key": {ID: "h1", Field: "headers.X-Second-Key", Version: 1, Destinations: []string{domain.Origin(c.Integration.BaseURL) + " header X-Second-Key"}},
	}
	c.Keyring = keyring(canary)
	return c
}

func TestTheHeadersOfAnIntegrationGoWithCallsProbesAndDiscovery(t *testing.T) {
	var mu sync.Mutex
	got := map[string]http.Header{}
	base := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got[r.URL.Path] = r.Header
		switch r.URL.Path {
		case "/openapi.json":
			_, _ = w.Write([]byte(`{"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {"/a": {"get": {}}}}`))
		case "/metadata":
			_, _ = w.Write([]byte(`{"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}`))
		default:
			_, _ = w.Write([]byte(`{"echo": "` + r.Header.Get("X-Second-Key") + `"}`))
		}
	})
	r := onLoopback(t)
	c := withHeaders(calling(base, nil, func(e *domain.Endpoint) { e.Path, e.Headers = "/call", map[string]string{"X-Version": "2030-01-01"} }))
	result := succeeds(t, r, c)
	require.NotContains(t, asJSON(t, result), canary)
	require.Equal(t, scrub.Mask, result.Request.Headers.Get("X-Second-Key"))
	require.Equal(t, "2030-01-01", got["/call"].Get("X-Version"), "an endpoint's own header wins")
	require.Equal(t, canary, got["/call"].Get("X-Second-Key"))
	require.Equal(t, "application/vnd.api+json", got["/call"].Get("Accept"))

	require.Equal(t, domain.Healthy, r.Probe(t.Context(), c.Integration, c.Keyring).Status)
	require.Equal(t, canary, got["/"].Get("X-Second-Key"))
	c.Integration.Protocol = domain.FHIR
	require.Equal(t, domain.Healthy, r.Probe(t.Context(), c.Integration, c.Keyring).Status)
	require.Equal(t, "2022-06-28", got["/metadata"].Get("X-Version"))
	require.Equal(t, canary, got["/metadata"].Get("X-Second-Key"))

	c.Integration.Protocol = domain.REST
	_, err := r.Discover(t.Context(), c.Integration, c.Keyring, domain.Description{URL: base + "/openapi.json"})
	require.NoError(t, err)
	require.Equal(t, "2022-06-28", got["/openapi.json"].Get("X-Version"))
	require.Empty(t, got["/openapi.json"].Get("X-Second-Key"), "a description is fetched without credentials")
}

func TestASecretHeaderGoesNowhereButToTheOriginItWasGivenFor(t *testing.T) {
	elsewhere := startUpstream(t, func(http.ResponseWriter, *http.Request) { t.Error("the upstream was called") })
	c := withHeaders(calling("http://127.0.0.1:1", nil, func(e *domain.Endpoint) { e.BaseURL = elsewhere }))
	if got := failsWith(t, onLoopback(t), c, domain.CallMisconfigured).Error; !strings.Contains(got, "another destination") {
		t.Errorf("got %s", got)
	}
}
