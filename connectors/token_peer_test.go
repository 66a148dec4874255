package connectors

import (
	"crypto/elliptic"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/peers"
)

// servers are an authorization server and a FHIR server that asks it about
// every token it gets.
type servers struct{ provider, tokens, fhir string }

const awkward = "s%cret +/&=~:9 long enough for anyone"

// serve starts both. The clients are known by a secret, in the header or in the
// body, or by a key.
func serve(t *testing.T, keys map[string]domain.Auth, secrets map[string]domain.Secret) servers {
	t.Helper()
	client := func(id, method string, more map[string]any) map[string]any {
		c := map[string]any{
			"client_id": id, "token_endpoint_auth_method": method, "grant_types": []string{"client_credentials"},
			"redirect_uris": []string{}, "response_types": []string{}, "scope": "system/*.rs",
		}
		for name, value := range more {
			c[name] = value
		}
		return c
	}
	clients := []any{
		client("with basic", "client_secret_basic", map[string]any{"client_secret": awkward}),
		client("with-post", "client_secret_post", map[string]any{"client_secret": awkward}),
		client("introspector", "client_secret_basic", map[string]any{"client_secret": "introspection-secret"}),
	}
	for id, a := range keys {
		public, err := PublicKey(a, secrets[id])
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, client(id, "private_key_jwt", map[string]any{
			"jwks": map[string]any{"keys": []any{json.RawMessage(public)}}, "token_endpoint_auth_signing_alg": a.AssertionAlgorithm,
		}))
	}
	provider := peers.Start(t, "provider.mjs", map[string]any{"clients": clients})
	fhir := peers.Start(t, "fhir.mjs", map[string]any{
		"introspect": map[string]string{"url": provider + "/token/introspection", "client": "introspector", "secret": "introspection-secret"},
		"token":      provider + "/token",
	})
	return servers{provider: provider, tokens: provider + "/token", fhir: fhir}
}

// given returns how many tokens the authorization server gave.
func (s servers) given(t *testing.T) string { return s.ask(t, "GET", "/given") }

// forget makes the authorization server forget every token it gave.
func (s servers) forget(t *testing.T) { s.ask(t, "POST", "/forget") }

func (s servers) ask(t *testing.T, method, path string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.provider+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func searching(s servers) domain.Call {
	return onFHIR(calling(s.fhir, map[string]any{"name": "nobody"}, func(e *domain.Endpoint) { e.Path, e.ResultKey = "/Patient", "type" }))
}

func TestARealAuthorizationServerGivesTokensThatARealFHIRServerTakes(t *testing.T) {
	keys := map[string]domain.Auth{
		"by-rsa": {Type: domain.SMARTBackendServices, ClientID: "by-rsa", AssertionAlgorithm: "RS384"},
		"by-ec":  {Type: domain.SMARTBackendServices, ClientID: "by-ec", AssertionAlgorithm: "ES384"},
	}
	secrets := map[string]domain.Secret{
		"by-rsa": domain.NewSecret(pkcs8(t, rsaKey(t))), "by-ec": domain.NewSecret(pkcs8(t, ecKey(t, elliptic.P384()))),
	}
	s := serve(t, keys, secrets)
	ways := map[string]domain.Auth{
		"with basic": {Type: domain.ClientCredentials, ClientID: "with basic", ClientAuthMethod: "basic", TokenURL: s.tokens},
		"with-post":  {Type: domain.ClientCredentials, ClientID: "with-post", ClientAuthMethod: "body", TokenURL: s.tokens},
		"by-rsa":     keys["by-rsa"], // discovered
		"by-ec":      keys["by-ec"],
	}
	secrets["with basic"], secrets["with-post"] = domain.NewSecret(awkward), domain.NewSecret(awkward)
	configured := keys["by-ec"]
	configured.TokenURL, configured.AssertionAudience = s.tokens, s.provider
	ways["configured"], secrets["configured"] = configured, secrets["by-ec"]
	for name, a := range ways {
		t.Run(name, func(t *testing.T) {
			a.Scopes = []string{"system/*.rs"}
			clock := &clock{}
			started := time.Now()
			r := registry(t, Config{AllowLoopback: true, Now: func() time.Time { return started.Add(time.Duration(clock.ahead.Load())) }})
			c := byToken(searching(s), a, secrets[name].Reveal())
			before := s.given(t)
			p := r.Probe(t.Context(), c.Integration, c.Keyring)
			if p.Status != domain.Healthy || !p.AuthResolved || !strings.Contains(p.Steps[0].Detail, domain.Origin(s.tokens)) {
				t.Fatalf("the probe came to %+v", p)
			}
			if got := succeeds(t, r, c); got.FinalResult != "searchset" || len(got.Attempts) != 1 {
				t.Errorf("got %+v", got)
			}
			first := s.given(t)
			if first == before || succeeds(t, r, c).FinalResult != "searchset" || s.given(t) != first {
				t.Error("the token was not kept")
			}
			clock.advance(9*time.Minute + time.Second)
			if a.Type == domain.ClientCredentials { // an assertion of the future would be refused
				succeeds(t, r, c)
				if s.given(t) == first {
					t.Error("the token was not refreshed")
				}
			}
			clock.ahead.Store(0)
			s.forget(t)
			if got := succeeds(t, r, c); len(got.Attempts) != 2 || got.Attempts[0].StatusCode != 401 {
				t.Errorf("after the token was revoked: %+v", got.Attempts)
			}
		})
	}
	for name, wrong := range map[string]string{
		"with basic": "another-secret", "with-post": "another-secret", "by-rsa": pkcs8(t, rsaKey2(t)), "by-ec": pkcs8(t, ecKey(t, elliptic.P384())),
	} {
		c := byToken(searching(s), ways[name], wrong)
		got := failsWith(t, registry(t, Config{AllowLoopback: true}), c, domain.CallAuthFailed)
		if !strings.Contains(got.Error, "invalid_client") || strings.Contains(got.Error, wrong) {
			t.Errorf("%s: %s", name, got.Error)
		}
		p := registry(t, Config{AllowLoopback: true}).Probe(t.Context(), c.Integration, c.Keyring)
		if p.Status != domain.AuthFailed || p.AuthResolved {
			t.Errorf("%s: the probe came to %+v", name, p)
		}
	}
	// A clock that is an hour slow signs assertions that have ended.
	slow := registry(t, Config{AllowLoopback: true, Now: func() time.Time { return time.Now().Add(-time.Hour) }})
	got := failsWith(t, slow, byToken(searching(s), ways["by-ec"], secrets["by-ec"].Reveal()), domain.CallAuthFailed)
	if !strings.Contains(got.Error, "Its clock is 3") || !strings.Contains(got.Error, "ahead of ours") {
		t.Errorf("the clock is not blamed: %s", got.Error)
	}
}

func TestARealFHIRServerIsCalledInItsOwnTerms(t *testing.T) {
	base := peers.Start(t, "fhir.mjs", map[string]any{})
	r := onLoopback(t)
	at := func(method, path, key string, params map[string]any) domain.Call {
		return onFHIR(calling(base, params, func(e *domain.Endpoint) { e.Method, e.Path, e.ResultKey = method, path, key }))
	}
	patient := succeeds(t, r, at("POST", "/Patient", "id", map[string]any{
		"resourceType": "Patient", "name": []any{map[string]any{"family": "Nguyen", "given": []any{"Ada"}}}, "birthDate": "1990-05-04",
	})).FinalResult
	appointment := succeeds(t, r, at("POST", "/Appointment", "id", map[string]any{
		"resourceType": "Appointment", "status": "booked", "start": "2026-06-01T09:00:00Z", "end": "2026-06-01T09:30:00Z",
		"participant": []any{map[string]any{"status": "accepted", "actor": map[string]any{"reference": "Patient/" + patient}}},
	})).FinalResult
	for path, row := range map[string]struct {
		key, want string
		params    map[string]any
	}{
		"/Patient/{id}":      {"name[0].family", "Nguyen", map[string]any{"id": patient}},
		"/Appointment/{id}":  {"status", "booked", map[string]any{"id": appointment}},
		"/Patient":           {"entry[0].resource.id", patient, map[string]any{"family": "Nguyen"}},
		"/Appointment":       {"entry[0].resource.id", appointment, map[string]any{"patient": "Patient/" + patient}},
		"/Patient?name=none": {"total", "0", nil},
	} {
		if got := succeeds(t, r, at("GET", path, row.key, row.params)).FinalResult; got != row.want {
			t.Errorf("%s: got %s, want %s", path, got, row.want)
		}
	}
	got := failsWith(t, r, at("GET", "/Patient/{id}", "", map[string]any{"id": "nobody"}), domain.CallUpstreamError)
	if got.StatusCode != 404 || !strings.Contains(got.Error, "Its OperationOutcome says: Not found.") {
		t.Errorf("got %d: %s", got.StatusCode, got.Error)
	}
	p := r.Probe(t.Context(), at("GET", "/", "", nil).Integration, nil)
	if p.Status != domain.Healthy || !strings.Contains(p.Message, "FHIR 4.0.1 (Medplum FHIR router)") {
		t.Errorf("the probe came to %+v", p)
	}
}
