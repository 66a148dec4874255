package connectors

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/vault"
)

// metadataOf is an authorization server with metadata (RFC 8414), which gives tokens that no
// one else gives.
type metadataOf struct {
	url string

	mu       sync.Mutex
	endpoint string // "": its own
	methods  []string
	asked    []asked
	read     int // requests for the metadata
	answer   func(w http.ResponseWriter, a asked)
}

func servesMetadata(t *testing.T) *metadataOf {
	t.Helper()
	m := &metadataOf{}
	m.url = startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		m.mu.Lock()
		defer m.mu.Unlock()
		if strings.HasPrefix(r.URL.Path, "/.well-known/") {
			m.read++
			endpoint := m.endpoint
			if endpoint == "" {
				endpoint = m.url + "/token"
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"issuer": m.url, "token_endpoint": endpoint, "token_endpoint_auth_methods_supported": m.methods})
			return
		}
		a := asked{r.Header, string(body)}
		m.asked = append(m.asked, a)
		if m.answer != nil {
			m.answer(w, a)
			return
		}
		_, _ = fmt.Fprintf(w, `{"access_token": "token-%d-of-%s", "expires_in": 1}`, len(m.asked), strings.TrimPrefix(m.url, "http://"))
	})
	return m
}

func (m *metadataOf) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

// requests returns the requests for a token so far, and counts those for the metadata.
func (m *metadataOf) requests() ([]asked, int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]asked(nil), m.asked...), m.read
}

// resourceOf is an MCP server that names its authorization servers (RFC 9728) and takes any
// token.
func resourceOf(t *testing.T, servers *atomic.Pointer[[]string]) string {
	t.Helper()
	var at string
	at = toolbox(t, domain.HTTP, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/.well-known/oauth-protected-resource"):
			w.WriteHeader(http.StatusOK)
			_ = json.NewEncoder(w).Encode(map[string]any{"resource": at, "authorization_servers": *servers.Load(), "scopes_supported": []string{"tools"}})
		case !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer "):
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	return at
}

// created returns a call of an integration as the domain makes it of a document, and its
// secrets.
func created(t *testing.T, doc domain.Document) domain.Call {
	t.Helper()
	doc["name"], doc["display_name"] = "it", "It"
	d, err := domain.Integration{}.Create("acme", doc, domain.Attempt{At: noon, ID: "a"}, onLoopback(t).Rules())
	require.NoError(t, err)
	c := calling("", nil, nil)
	c.Integration = domain.Evolve(domain.Integration{}, d.Event)
	if c.Integration.Protocol == domain.MCP {
		c.Endpoint.Name, c.Endpoint.Path, c.Params = "echo", "", map[string]any{}
	}
	c.Keyring = func(_ context.Context, ref domain.SecretRef) (domain.Secret, error) {
		for _, sealed := range d.Seal {
			if sealed.Ref.ID == ref.ID {
				return sealed.Secret, nil
			}
		}
		return domain.Secret{}, domain.Errorf(domain.Invalid, "secret_missing", "the secret of %s is not in the vault", ref.Field)
	}
	return c
}

// clientAt returns a call of an MCP server by a client that gets tokens for itself.
func clientAt(t *testing.T, at string, more members) domain.Call {
	t.Helper()
	auth := members{"type": "oauth2_client_credentials", "client_id": "app", "client_secret_value": canary}
	for name, value := range more {
		auth[name] = value
	}
	return created(t, domain.Document{"protocol": "mcp", "mcp_transport": "http", "mcp_url": at, "auth": auth})
}

// openPins returns a vault that keeps pins.
func openPins(t *testing.T) *vault.Vault {
	t.Helper()
	v, err := vault.Open(t.Context(), natstest.Connect(t), vault.RootKeys{File: filepath.Join(t.TempDir(), "root.keyset")}, 1)
	require.NoError(t, err)
	return v
}

func TestAClientFindsItsTokenEndpointByWhatTheMCPServerNames(t *testing.T) {
	as := servesMetadata(t)
	var servers atomic.Pointer[[]string]
	servers.Store(&[]string{as.url})
	at := resourceOf(t, &servers)
	succeeds(t, onLoopback(t), clientAt(t, at, nil))
	got, _ := as.requests()
	require.Len(t, got, 1)
	form := got[0].form(t)
	require.Equal(t, "client_credentials", form.Get("grant_type"))
	require.Equal(t, at, form.Get("resource"))
	require.Equal(t, "tools", form.Get("scope"))
	require.True(t, strings.HasPrefix(got[0].Header.Get("Authorization"), "Basic "))
	succeeds(t, onLoopback(t), clientAt(t, at, members{"resource": "none", "scopes": "a b", "client_auth_method": "body", "issuer": as.url}))
	got, _ = as.requests()
	form = got[1].form(t)
	require.False(t, form.Has("resource"))
	require.Equal(t, "a b", form.Get("scope"))
	require.Equal(t, canary, form.Get("client_secret"))
}

func TestAClientFindsItsTokenEndpointByItsIssuer(t *testing.T) {
	as := servesMetadata(t)
	base, last := recorder(t)
	c := created(t, domain.Document{"base_url": base, "auth": members{"type": "oauth2_client_credentials", "client_id": "app", "client_secret_value": canary, "issuer": as.url}})
	succeeds(t, onLoopback(t), c)
	require.Contains(t, last().Header.Get("Authorization"), "Bearer token-1-of-")
	c.Integration.Auth.Issuer = "http://127.0.0.1:1" // in spite of what the secret was given for
	got := failsWith(t, onLoopback(t), c, domain.CallMisconfigured)
	require.Contains(t, got.Error, "given for another token endpoint")
}

func TestASecretStaysAtTheAuthorizationServerThatItWasFirstSentTo(t *testing.T) {
	first, second := servesMetadata(t), servesMetadata(t)
	var servers atomic.Pointer[[]string]
	servers.Store(&[]string{first.url})
	at, pins := resourceOf(t, &servers), openPins(t)
	process := func() *Registry { return registry(t, Config{AllowLoopback: true, Pins: pins}) }
	c := clientAt(t, at, nil)
	succeeds(t, process(), c)

	servers.Store(&[]string{second.url})
	for range 2 { // and after a restart, in every process
		got := failsWith(t, process(), c, domain.CallMisconfigured)
		require.Contains(t, got.Error, second.url+" by now")
		require.Contains(t, got.Error, first.url)
		requests, reads := second.requests()
		require.Empty(t, requests)
		require.Zero(t, reads, "it is not asked for anything")
	}
	servers.Store(&[]string{second.url, first.url}) // it is still among them
	succeeds(t, process(), c)
	first.set(func() { first.endpoint = second.url + "/token" })
	got := failsWith(t, process(), c, domain.CallMisconfigured)
	require.Contains(t, got.Error, "a token endpoint at "+domain.Origin(second.url)+" by now")
	requests, _ := second.requests()
	require.Empty(t, requests)

	first.set(func() { first.endpoint = "" })
	servers.Store(&[]string{second.url})
	again := clientAt(t, at, nil) // the secret was given again
	ref := again.Integration.Auth.Secrets["client_secret_value"]
	ref.ID, ref.Version = "another", 2
	again.Integration.Auth.Secrets["client_secret_value"], again.Keyring = ref, keyring(canary)
	succeeds(t, process(), again)
	failsWith(t, process(), c, domain.CallMisconfigured)
}

func TestNothingSecretIsSentWhereNobodyNamesOneAuthorizationServer(t *testing.T) {
	first, second := servesMetadata(t), servesMetadata(t)
	var servers atomic.Pointer[[]string]
	for want, named := range map[string][]string{
		"names several authorization servers": {first.url, second.url},
		"names no authorization server":       {},
		"is not an https URL":                 {"http://as.example.com"},
		"has no metadata":                     {answers(t, 404, "")},
	} {
		servers.Store(&named)
		got := failsWith(t, onLoopback(t), clientAt(t, resourceOf(t, &servers), nil), domain.CallMisconfigured)
		require.Contains(t, got.Error, want)
	}
	several := []string{first.url, second.url}
	servers.Store(&several)
	succeeds(t, onLoopback(t), clientAt(t, resourceOf(t, &servers), members{"issuer": second.url}))
	requests, _ := first.requests()
	require.Empty(t, requests)
	denied := []string{"https://169.254.169.254"}
	servers.Store(&denied)
	failsWith(t, onLoopback(t), clientAt(t, resourceOf(t, &servers), nil), domain.CallMisconfigured)
}

func TestTryingWhatIsNotSavedPinsNothing(t *testing.T) {
	first, second := servesMetadata(t), servesMetadata(t)
	var servers atomic.Pointer[[]string]
	servers.Store(&[]string{first.url})
	at, pins := resourceOf(t, &servers), openPins(t)
	c := clientAt(t, at, nil)
	try := func() domain.Probe {
		return registry(t, Config{AllowLoopback: true, Pins: pins}).Probe(domain.WithUnsaved(t.Context()), c.Integration, c.Keyring)
	}
	require.Equal(t, domain.Healthy, try().Status)
	servers.Store(&[]string{second.url})
	succeeds(t, registry(t, Config{AllowLoopback: true, Pins: pins}), c)
	servers.Store(&[]string{first.url})
	require.Equal(t, domain.Misconfigured, try().Status, "what is pinned holds for tries too")
}

func TestARefusalNamesHowTheAuthorizationServerWantsToBeProvedTo(t *testing.T) {
	as := servesMetadata(t)
	as.methods = []string{"client_secret_post", "private_key_jwt"}
	as.answer = func(w http.ResponseWriter, _ asked) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error": "invalid_client"}`)
	}
	var servers atomic.Pointer[[]string]
	servers.Store(&[]string{as.url})
	got := failsWith(t, onLoopback(t), clientAt(t, resourceOf(t, &servers), nil), domain.CallAuthFailed)
	require.Contains(t, got.Error, "proves itself by body or private_key_jwt, and this one does by basic.")
}
