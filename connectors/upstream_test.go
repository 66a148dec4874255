package connectors

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/connectors/scrub/scrubtest"
	"github.com/seed677028b5/integrations/domain"
)

const canary = scrubtest.Canary

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// onLoopback returns a registry that may call the upstreams of a test.
func onLoopback(t *testing.T) *Registry {
	t.Helper()
	return registry(t, Config{AllowLoopback: true, Now: func() time.Time { return noon }})
}

func registry(t *testing.T, c Config) *Registry {
	t.Helper()
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// startUpstream starts a server on loopback that answers with h.
func startUpstream(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// answers is an upstream that always answers the same.
func answers(t *testing.T, status int, body string) string {
	t.Helper()
	return startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

// calling returns a call of an endpoint, GET / unless change sets another.
func calling(base string, params map[string]any, change func(*domain.Endpoint)) domain.Call {
	e := domain.Endpoint{Name: "test", Method: "GET", Path: "/", BodyFormat: "json", InputSchema: json.RawMessage(`{}`), TimeoutMS: 10_000}
	if change != nil {
		change(&e)
	}
	return domain.Call{
		Integration: domain.Integration{Name: "crm", Configuration: domain.Configuration{Protocol: domain.REST, BaseURL: base}},
		Endpoint:    e, Params: params,
	}
}

// signedBy gives c an auth whose secret is secret, given for the call's base URL.
func signedBy(c domain.Call, a domain.Auth, secret string) domain.Call {
	a.Secrets = map[string]domain.SecretRef{a.SecretField(): {ID: "s1", Field: "auth", Version: 1, Destinations: []string{domain.Origin(c.Integration.BaseURL) + " place"}}}
	c.Integration.Auth = &a
	c.Keyring = keyring(secret)
	return c
}

func keyring(secret string) domain.Keyring {
	return func(context.Context, domain.SecretRef) (domain.Secret, error) { return domain.NewSecret(secret), nil }
}

func call(t *testing.T, r *Registry, c domain.Call) domain.CallResult {
	t.Helper()
	result, err := r.Call(t.Context(), c)
	if err != nil {
		t.Fatalf("the call was refused: %v", err)
	}
	return result
}

// succeeds calls and fails the test when the call failed.
func succeeds(t *testing.T, r *Registry, c domain.Call) domain.CallResult {
	t.Helper()
	result := call(t, r, c)
	if result.Error != "" {
		t.Fatalf("the call failed: %s (%s)", result.Error, result.ErrorCode)
	}
	return result
}

// failsWith calls and expects a failure of that code, described in a sentence.
func failsWith(t *testing.T, r *Registry, c domain.Call, code domain.ErrorCode) domain.CallResult {
	t.Helper()
	result := call(t, r, c)
	isSentence(t, result.Error)
	if result.ErrorCode != code {
		t.Fatalf("the call came to %q (%s), want %s", result.ErrorCode, result.Error, code)
	}
	if result.FinalResult != "" {
		t.Errorf("a failed call has the result %q", result.FinalResult)
	}
	return result
}

func isSentence(t *testing.T, s string) {
	t.Helper()
	if s == "" || !strings.HasSuffix(s, ".") || strings.Contains(s, "dial tcp") || strings.Contains(s, "0x") {
		t.Errorf("%q is not a sentence for a person", s)
	}
}

// refuses calls and returns the pointers and codes of what was refused.
func refuses(t *testing.T, c domain.Call) []string {
	t.Helper()
	result, err := onLoopback(t).Call(t.Context(), c)
	if domain.KindOf(err) != domain.Invalid {
		t.Fatalf("the call was not refused as invalid: %v, %+v", err, result)
	}
	var problems []string
	for _, p := range err.(*domain.Error).Problems { //nolint:errorlint // KindOf has looked
		problems = append(problems, p.Pointer+" "+p.Code)
	}
	return problems
}

// asJSON returns v as JSON on one line.
func asJSON(t *testing.T, v any) string {
	t.Helper()
	s, err := jsonvalue.Compact(v)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
