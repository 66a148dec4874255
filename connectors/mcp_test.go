package connectors

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

func TestMCPTheResultOfAToolIsReturned(t *testing.T) {
	overEach(t, func(t *testing.T, transport domain.MCPTransport) {
		r, at := onLoopback(t), toolbox(t, transport, nil)
		big := map[string]any{"id": json.Number("9007199254740993"), "price": json.Number("1.10"), "text": "a < b & c"}
		written := `{"id":9007199254740993,"price":1.10,"text":"a < b & c"}`
		for name, want := range map[string]string{"echo": written, "structured": written, "nothing": "null"} {
			got := succeeds(t, r, tooling(transport, at, name, big))
			if asJSON(t, got.RawResponse) != want || got.StatusCode != 200 || len(got.Attempts) != 1 || got.Attempts[0].StatusCode != 200 {
				t.Errorf("%s: got %+v", name, got)
			}
			if got.Request.Method != "tools/call" || got.Request.URL != at || got.Request.Body != written {
				t.Errorf("the request is shown as %+v", got.Request)
			}
		}
		if got := succeeds(t, r, tooling(transport, at, "greet", map[string]any{"who": "Ada"})); got.RawResponse != "Hello, Ada" || got.FinalResult != "Hello, Ada" {
			t.Errorf("got %+v", got)
		}
		if got := succeeds(t, r, tooling(transport, at, "several", nil)); asJSON(t, got.RawResponse) != `[{"text":"one","type":"text"},{"text":"two","type":"text"}]` {
			t.Errorf("got %+v", got.RawResponse)
		}
		shaped := tooling(transport, at, "structured", big)
		shaped.Endpoint.ResponseMapping, shaped.Endpoint.ResultTemplate = map[string]string{"number": "id"}, "No. {{ number }}"
		if got := succeeds(t, r, shaped); got.FinalResult != "No. 9007199254740993" {
			t.Errorf("got %+v", got)
		}
	})
}

func TestMCPArgumentsAreCheckedByTheEndpointsSchemaElseTheServers(t *testing.T) {
	overEach(t, func(t *testing.T, transport domain.MCPTransport) {
		var posted atomic.Int64
		r, at := onLoopback(t), toolbox(t, transport, func(_ http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				posted.Add(1)
			}
		})
		refused := func(c domain.Call) string {
			_, err := r.Call(t.Context(), c)
			var problems []string
			var failure *domain.Error
			if errors.As(err, &failure) {
				for _, p := range failure.Problems {
					problems = append(problems, p.Pointer+" "+p.Code)
				}
			}
			return strings.Join(problems, ", ")
		}
		wrong := map[string]any{"whom": "Ada"}
		if got := refused(tooling(transport, at, "greet", wrong)); !strings.Contains(got, "/params/who required") || !strings.Contains(got, "/params/whom unknown_member") {
			t.Errorf("refused were %q", got)
		}
		asked := posted.Load()
		if refused(tooling(transport, at, "greet", wrong)) == "" || posted.Load() != asked {
			t.Errorf("the schema was asked for again")
		}
		own := tooling(transport, at, "greet", map[string]any{"who": "Ada"})
		own.Endpoint.InputSchema = json.RawMessage(`{"properties":{"who":{"maxLength":2}}}`)
		if got := refused(own); got != "/params/who maxLength" || posted.Load() != asked {
			t.Errorf("refused were %q", got)
		}
	})
}

func TestMCPAFailureIsReported(t *testing.T) {
	overEach(t, func(t *testing.T, transport domain.MCPTransport) {
		r, at := onLoopback(t), toolbox(t, transport, nil)
		failure := failsWith(t, r, tooling(transport, at, "fails", nil), domain.CallToolError)
		if n := len([]rune(failure.Error)); !strings.HasPrefix(failure.Error, "The tool failed: the stock of ééé") || n < 1000 || n > 1030 || failure.RawResponse == nil {
			t.Errorf("got %d characters: %s", n, failure.Error)
		}
		if got := failsWith(t, r, tooling(transport, at, "breaks", nil), domain.CallUpstreamError); !strings.Contains(got.Error, "the back is broken") {
			t.Errorf("got %s", got.Error)
		}
		if got := failsWith(t, r, tooling(transport, at, "no-such", nil), domain.CallMisconfigured); !strings.Contains(got.Error, "It offers") || !strings.Contains(got.Error, "greet") {
			t.Errorf("got %s", got.Error)
		}
		unlisted := tooling(transport, at, "no-such", nil)
		unlisted.Endpoint.InputSchema = json.RawMessage(`{"type":"object"}`)
		if got := failsWith(t, r, unlisted, domain.CallMisconfigured); !strings.Contains(got.Error, "no-such") {
			t.Errorf("got %s", got.Error)
		}
		failsWith(t, r, tooling(transport, at, "large", nil), domain.CallResponseTooLarge)
	})
}

func TestMCPASlowToolEndsAtTheTimeout(t *testing.T) {
	overEach(t, func(t *testing.T, transport domain.MCPTransport) {
		c := tooling(transport, toolbox(t, transport, nil), "slow", nil)
		hurried(t, &c.Endpoint)
		start := time.Now()
		got := failsWith(t, onLoopback(t), c, domain.CallTimeout)
		if took := time.Since(start); took > 1300*time.Millisecond || !strings.Contains(got.Error, "300") {
			t.Errorf("after %s it answered %s", took, got.Error)
		}
	})
}

func TestMCPSecretsGoToTheServerAndNowhereElse(t *testing.T) {
	overEach(t, func(t *testing.T, transport domain.MCPTransport) {
		r := onLoopback(t)
		at := toolbox(t, transport, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer "+canary || r.Header.Get("X-Tenant") != canary {
				w.WriteHeader(http.StatusUnauthorized)
			}
		})
		c := signedAt(tooling(transport, at, "headers", nil), domain.Auth{Type: domain.BearerToken}, canary)
		c.Integration.MCPHeaders = map[string]domain.SecretRef{"x-tenant": {ID: "h1", Destinations: []string{domain.Origin(at) + " header x-tenant"}}}
		got := succeeds(t, r, c)
		whole := asJSON(t, got)
		if scrub.New(canary).Text(whole) != whole {
			t.Errorf("a secret is shown: %s", whole)
		}
		if !strings.Contains(got.FinalResult, scrub.Mask) || got.Request.Headers.Get("Authorization") != scrub.Mask || got.Request.Headers.Get("X-Tenant") != scrub.Mask {
			t.Errorf("got %+v", got)
		}
		if p := r.Probe(t.Context(), c.Integration, c.Keyring); p.Status != domain.Healthy || !p.AuthResolved {
			t.Errorf("the probe came to %+v", p)
		}
		c.DryRun = true
		if got := succeeds(t, r, c); got.Request.Headers.Get("X-Tenant") != scrub.Mask || len(got.Attempts) != 0 {
			t.Errorf("a dry run came to %+v", got)
		}
		c.DryRun = false
		moved := c
		moved.Integration.MCPHeaders = map[string]domain.SecretRef{"x-tenant": {ID: "h1", Destinations: []string{"https://elsewhere.example:443 header x-tenant"}}}
		failsWith(t, r, moved, domain.CallMisconfigured)
		if p := r.Probe(t.Context(), moved.Integration, moved.Keyring); p.Status != domain.Misconfigured || p.AuthResolved {
			t.Errorf("the probe came to %+v", p)
		}
		c.Integration.MCPHeaders = nil
		if got := failsWith(t, r, c, domain.CallAuthFailed); got.StatusCode != 401 {
			t.Errorf("got %+v", got)
		}
		if p := r.Probe(t.Context(), c.Integration, c.Keyring); p.Status != domain.AuthFailed || p.HTTPStatus != 401 {
			t.Errorf("the probe came to %+v", p)
		}
	})
}

func TestMCPAKeyInTheQueryTravelsWithEachRequest(t *testing.T) {
	overEach(t, func(t *testing.T, transport domain.MCPTransport) {
		at := toolbox(t, transport, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("key") != canary {
				w.WriteHeader(http.StatusForbidden)
			}
		})
		c := signedAt(tooling(transport, at+"?v=1", "greet", map[string]any{"who": "Ada"}), domain.Auth{Type: domain.APIKeyHeader, QueryName: "key"}, canary)
		if got := succeeds(t, onLoopback(t), c); got.Request.URL != at+"?v=1&key="+scrub.Mask {
			t.Errorf("got %+v", got.Request)
		}
	})
}

func TestMCPAServerIsOfferedNothing(t *testing.T) {
	overEach(t, func(t *testing.T, transport domain.MCPTransport) {
		got := asJSON(t, call(t, onLoopback(t), tooling(transport, toolbox(t, transport, nil), "asks", nil)))
		if strings.Contains(got, "roots were listed") {
			t.Errorf("got %s", got)
		}
	})
}

func TestMCPOnlyConnectingIsTriedAgain(t *testing.T) {
	overEach(t, func(t *testing.T, transport domain.MCPTransport) {
		var refused, called atomic.Int64
		at := toolbox(t, transport, func(w http.ResponseWriter, r *http.Request) {
			if refused.Add(1) <= 2 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		r := onLoopback(t)
		hasten(r)
		c := tooling(transport, at, "greet", map[string]any{"who": "Ada"})
		c.Endpoint.Retry = domain.RetryConfig{MaxRetries: 3, RetryOnStatus: []int{503}}
		got := succeeds(t, r, c)
		if n := len(got.Attempts); n < 2 || got.Attempts[0].StatusCode != 503 || got.Attempts[0].Error == "" || got.Attempts[n-1].StatusCode != 200 {
			t.Errorf("got %+v", got.Attempts)
		}

		busy := toolbox(t, transport, func(w http.ResponseWriter, r *http.Request) {
			if isCallOf(r, toolsCall) {
				called.Add(1)
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		c.Integration.MCPURL = busy
		if got := failsWith(t, r, c, domain.CallUpstreamError); got.StatusCode != 503 || called.Load() != 1 {
			t.Errorf("the tool was called %d times: %+v", called.Load(), got)
		}
	})
}

func TestMCPAProbeNamesTheServer(t *testing.T) {
	overEach(t, func(t *testing.T, transport domain.MCPTransport) {
		at := toolbox(t, transport, nil)
		p := onLoopback(t).Probe(t.Context(), tooling(transport, at, "", nil).Integration, nil)
		if p.Status != domain.Healthy || !strings.Contains(p.Message, "toolbox 1.2.3") || !strings.Contains(p.Message, "offers 11 tools") || p.HTTPStatus != 200 || !p.AuthResolved {
			t.Errorf("the probe came to %+v", p)
		}
		var steps []string
		for _, s := range p.Steps {
			steps = append(steps, s.Name)
			isSentence(t, s.Detail)
		}
		if strings.Join(steps, " ") != "resolve_auth connect list_tools" {
			t.Errorf("the steps are %q", steps)
		}
		wedged := toolbox(t, transport, func(w http.ResponseWriter, r *http.Request) {
			if isCallOf(r, toolsList) {
				w.WriteHeader(http.StatusBadGateway)
			}
		})
		if p := onLoopback(t).Probe(t.Context(), tooling(transport, wedged, "", nil).Integration, nil); p.Status != domain.Unreachable || p.Steps[len(p.Steps)-1].Name != "list_tools" {
			t.Errorf("the probe came to %+v", p)
		}
	})
}

func TestMCPStartingAProcessIsNotEnabled(t *testing.T) {
	c := tooling(domain.Stdio, "", "echo", nil)
	const want = "Starting a process is not enabled on this service."
	if got := failsWith(t, onLoopback(t), c, domain.CallMisconfigured); got.Error != want {
		t.Errorf("got %s", got.Error)
	}
	if p := onLoopback(t).Probe(t.Context(), c.Integration, nil); p.Status != domain.Misconfigured || p.Message != want {
		t.Errorf("the probe came to %+v", p)
	}
}

// greeting is a call of "greet", signed with a token of from.
func greeting(transport domain.MCPTransport, at string, from *issuer) domain.Call {
	c := signedAt(tooling(transport, at, "greet", map[string]any{"who": "Ada"}), clientCredentials(from.url), canary)
	ref := c.Integration.Auth.Secret()
	ref.Destinations = append(ref.Destinations, domain.Origin(from.url)+" place")
	c.Integration.Auth.Secrets[c.Integration.Auth.SecretField()] = ref
	return c
}

func TestMCPATokenThatTheServerRefusesIsRenewedOnceWhileConnecting(t *testing.T) {
	overEach(t, func(t *testing.T, transport domain.MCPTransport) {
		from := issues(t, nil)
		at := toolbox(t, transport, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer token-2" {
				w.WriteHeader(http.StatusUnauthorized)
			}
		})
		c := greeting(transport, at, from)
		r := onLoopback(t)
		got := succeeds(t, r, c)
		if got.FinalResult != "Hello, Ada" || len(got.Attempts) != 2 || got.Attempts[0].StatusCode != 401 || len(from.requests()) != 2 {
			t.Errorf("after %d tokens it came to %+v", len(from.requests()), got)
		}
		if p := r.Probe(t.Context(), c.Integration, c.Keyring); p.Status != domain.Healthy || len(from.requests()) != 2 {
			t.Errorf("with the fresh token the probe came to %+v", p)
		}
	})
}

// choosy is a server that lets everyone connect, and refuses a method without a
// token that is good. It returns how often it was asked for that method.
func choosy(t *testing.T, transport domain.MCPTransport, method string, good string) (at string, asked *atomic.Int64) {
	t.Helper()
	asked = &atomic.Int64{}
	return toolbox(t, transport, func(w http.ResponseWriter, r *http.Request) {
		if isCallOf(r, method) {
			asked.Add(1)
			if r.Header.Get("Authorization") != "Bearer "+good {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}
	}), asked
}

func TestMCPATokenThatTheServerRefusesIsRenewedOnceItIsConnectedToo(t *testing.T) {
	overEach(t, func(t *testing.T, transport domain.MCPTransport) {
		for _, method := range []string{"notifications/initialized", toolsList, toolsCall} {
			from, r := issues(t, nil), onLoopback(t)
			at, asked := choosy(t, transport, method, "token-2")
			c := greeting(transport, at, from)
			got := succeeds(t, r, c)
			if got.FinalResult != "Hello, Ada" || got.StatusCode != 200 || asked.Load() != 2 || len(from.requests()) != 2 {
				t.Errorf("%s: asked %d times with %d tokens it came to %+v", method, asked.Load(), len(from.requests()), got)
			}
			if len(got.Attempts) != 2 || got.Attempts[0].StatusCode != 401 || got.Attempts[0].Error == "" || got.Attempts[1].StatusCode != 200 {
				t.Errorf("%s: the attempts are %+v", method, got.Attempts)
			}
			if shown := asJSON(t, got); strings.Contains(shown, "token-1") || strings.Contains(shown, "token-2") {
				t.Errorf("%s: a token is shown: %s", method, shown)
			}
			if got := succeeds(t, r, c); len(got.Attempts) != 1 || len(from.requests()) != 2 {
				t.Errorf("%s: the fresh token was not kept: %+v", method, got.Attempts)
			}
		}
	})
}

func TestMCPAProbeAndADiscoveryRenewATokenThatTheServerRefuses(t *testing.T) {
	overEach(t, func(t *testing.T, transport domain.MCPTransport) {
		from := issues(t, nil)
		at, _ := choosy(t, transport, toolsList, "token-2")
		c := greeting(transport, at, from)
		p := onLoopback(t).Probe(t.Context(), c.Integration, c.Keyring)
		var steps []string
		for _, s := range p.Steps {
			steps = append(steps, s.Name)
		}
		if p.Status != domain.Healthy || p.HTTPStatus != 200 || !p.AuthResolved || strings.Join(steps, " ") != "resolve_auth connect list_tools" || len(from.requests()) != 2 {
			t.Errorf("after %d tokens the probe came to %+v", len(from.requests()), p)
		}

		at, _ = choosy(t, transport, toolsList, "token-4")
		found := discovered(t, greeting(transport, at, from), domain.Description{})
		if found.Error != "" || len(found.Offers) != 11 || len(from.requests()) != 4 {
			t.Errorf("after %d tokens the discovery came to %+v", len(from.requests()), found)
		}
	})
}

func TestMCPAServerThatRefusesEveryTokenIsCalledTwice(t *testing.T) {
	overEach(t, func(t *testing.T, transport domain.MCPTransport) {
		from := issues(t, nil)
		at, asked := choosy(t, transport, toolsCall, "none")
		c := greeting(transport, at, from)
		got := failsWith(t, onLoopback(t), c, domain.CallAuthFailed)
		if len(got.Attempts) != 2 || got.StatusCode != 401 || asked.Load() != 2 || len(from.requests()) != 2 {
			t.Errorf("asked %d times with %d tokens it came to %+v", asked.Load(), len(from.requests()), got)
		}

		at, asked = choosy(t, transport, toolsList, "none")
		c = greeting(transport, at, from)
		if p := onLoopback(t).Probe(t.Context(), c.Integration, c.Keyring); p.Status != domain.AuthFailed || p.HTTPStatus != 401 || asked.Load() != 2 {
			t.Errorf("asked %d times the probe came to %+v", asked.Load(), p)
		}
		if found := discovered(t, c, domain.Description{}); found.ErrorCode != domain.CallAuthFailed || asked.Load() != 4 {
			t.Errorf("asked %d times the discovery came to %+v", asked.Load(), found)
		}
	})
}

func TestMCPATokenThatCanNotBeRenewedIsTheError(t *testing.T) {
	overEach(t, func(t *testing.T, transport domain.MCPTransport) {
		once := func() *issuer {
			return issues(t, func(n int) string {
				if n == 1 {
					return `{"access_token": "token-1"}`
				}
				return `{"error": "invalid_client"}`
			})
		}
		at, asked := choosy(t, transport, toolsCall, "none")
		got := failsWith(t, onLoopback(t), greeting(transport, at, once()), domain.CallAuthFailed)
		if !strings.Contains(got.Error, "invalid_client") || got.StatusCode != 401 || len(got.Attempts) != 1 || asked.Load() != 1 {
			t.Errorf("got %+v", got)
		}

		at, _ = choosy(t, transport, toolsList, "none")
		c := greeting(transport, at, once())
		if p := onLoopback(t).Probe(t.Context(), c.Integration, c.Keyring); p.Status != domain.AuthFailed || p.AuthResolved || !strings.Contains(p.Message, "invalid_client") {
			t.Errorf("the probe came to %+v", p)
		}
		if found := discovered(t, greeting(transport, at, once()), domain.Description{}); found.ErrorCode != domain.CallAuthFailed || !strings.Contains(found.Error, "invalid_client") {
			t.Errorf("the discovery came to %+v", found)
		}
	})
}
