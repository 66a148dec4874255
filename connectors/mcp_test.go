package connectors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/domain"
)

// transports are the ways to an MCP server that tests take.
var transports = []domain.MCPTransport{domain.HTTP, domain.SSE}

// overEach runs a test over each transport, and waits until nothing of it is
// left.
func overEach(t *testing.T, test func(*testing.T, domain.MCPTransport)) {
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			t.Cleanup(func() { isQuiet(t) }) // after the servers have stopped
			test(t, transport)
		})
	}
}

// isQuiet fails the test when something of a session is left.
func isQuiet(t *testing.T) {
	t.Helper()
	var left string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		stacks := make([]byte, 4<<20)
		left = ""
		for one := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			for _, ours := range []string{"ClientConn)", "connectors.await", "connectors.(*session)", "connectors.mcp", "mcp.(*ClientSession)"} {
				if strings.Contains(one, ours) && !strings.Contains(one, "isQuiet") {
					left = one
				}
			}
		}
		if left == "" {
			return
		}
	}
	t.Errorf("this is left of a session:\n%s", left)
}

// toolbox is an MCP server with tools of ours, before which goes what before
// does with a request; nil does nothing.
func toolbox(t *testing.T, transport domain.MCPTransport, before http.HandlerFunc) string {
	t.Helper()
	server := sdk.NewServer(&sdk.Implementation{Name: "toolbox", Version: "1.2.3"}, nil)
	add := func(name, schema string, do func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error)) {
		server.AddTool(&sdk.Tool{Name: name, Description: "does " + name, InputSchema: json.RawMessage(schema)}, do)
	}
	said := func(texts ...string) (*sdk.CallToolResult, error) {
		var all []sdk.Content
		for _, text := range texts {
			all = append(all, &sdk.TextContent{Text: text})
		}
		return &sdk.CallToolResult{Content: all}, nil
	}
	var headers atomic.Pointer[http.Header] // of the last request
	open := `{"type":"object"}`
	add("greet", `{"type":"object","properties":{"who":{"type":"string"}},"required":["who"],"additionalProperties":false}`,
		func(_ context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			var in struct{ Who string }
			_ = json.Unmarshal(r.Params.Arguments, &in)
			return said("Hello, " + in.Who)
		})
	add("echo", open, func(_ context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return said(string(r.Params.Arguments))
	})
	add("structured", open, func(_ context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "for people"}}, StructuredContent: r.Params.Arguments}, nil
	})
	add("several", open, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) { return said("one", "two") })
	add("nothing", open, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) { return said() })
	add("fails", open, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		got, err := said("the stock of " + strings.Repeat("é", 1500) + " is empty.")
		got.IsError = true
		return got, err
	})
	add("breaks", open, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return nil, errors.New("the back is broken")
	})
	add("slow", open, func(ctx context.Context, _ *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		select {
		case <-ctx.Done():
		case <-t.Context().Done():
		}
		return nil, errors.New("it was too slow")
	})
	add("large", open, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return said(strings.Repeat("x", maxBody))
	})
	add("headers", open, func(_ context.Context, _ *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		all, _ := json.Marshal(headers.Load())
		return said(string(all))
	})
	add("asks", open, func(ctx context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		var told []string
		_, err := r.Session.CreateMessage(ctx, &sdk.CreateMessageParams{}) //nolint:staticcheck // what servers may still ask
		told = append(told, fmt.Sprint(err))
		if _, err = r.Session.ListRoots(ctx, nil); err == nil { //nolint:staticcheck // the same
			told = append(told, "roots were told")
		}
		_, err = r.Session.Elicit(ctx, &sdk.ElicitParams{Message: "your password?"})
		return said(append(told, fmt.Sprint(err))...)
	})
	get := func(*http.Request) *sdk.Server { return server }
	var handler http.Handler = sdk.NewStreamableHTTPHandler(get, nil)
	if transport == domain.SSE {
		handler = sdk.NewSSEHandler(get, nil)
	}
	started := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		headers.Store(&r.Header)
		if before != nil {
			answered := &overheard{ResponseWriter: w}
			if before(answered, r); answered.spoke {
				return
			}
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { started.CloseClientConnections(); started.Close() })
	return started.URL + "/mcp"
}

// overheard tells whether anything was answered.
type overheard struct {
	http.ResponseWriter
	spoke bool
}

func (o *overheard) WriteHeader(status int) { o.spoke = true; o.ResponseWriter.WriteHeader(status) }

// tooling returns a call of a tool.
func tooling(transport domain.MCPTransport, at, name string, params map[string]any) domain.Call {
	c := calling("", params, func(e *domain.Endpoint) { e.Name, e.Path = name, "" })
	c.Integration.Protocol, c.Integration.MCPTransport, c.Integration.MCPURL = domain.MCP, transport, at
	return c
}

// signedAt is signedBy for an MCP server.
func signedAt(c domain.Call, a domain.Auth, secret string) domain.Call {
	a.Secrets = map[string]domain.SecretRef{a.SecretField(): {ID: "s1", Destinations: []string{domain.Origin(c.Integration.MCPURL) + " place"}}}
	c.Integration.Auth, c.Keyring = &a, keyring(secret)
	return c
}

func TestMCPAToolAnswersWhatItSays(t *testing.T) {
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
			var told *domain.Error
			if errors.As(err, &told) {
				for _, p := range told.Problems {
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

func TestMCPAFailureIsTold(t *testing.T) {
	overEach(t, func(t *testing.T, transport domain.MCPTransport) {
		r, at := onLoopback(t), toolbox(t, transport, nil)
		told := failsWith(t, r, tooling(transport, at, "fails", nil), domain.CallToolError)
		if n := len([]rune(told.Error)); !strings.HasPrefix(told.Error, "The tool failed: the stock of ééé") || n < 1000 || n > 1030 || told.RawResponse == nil {
			t.Errorf("got %d characters: %s", n, told.Error)
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
			t.Errorf("after %s it said %s", took, got.Error)
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
		if newScrubber(canary).text(whole) != whole {
			t.Errorf("a secret is shown: %s", whole)
		}
		if !strings.Contains(got.FinalResult, masked) || got.Request.Headers.Get("Authorization") != masked || got.Request.Headers.Get("X-Tenant") != masked {
			t.Errorf("got %+v", got)
		}
		if p := r.Probe(t.Context(), c.Integration, c.Keyring); p.Status != domain.Healthy || !p.AuthResolved {
			t.Errorf("the probe came to %+v", p)
		}
		c.DryRun = true
		if got := succeeds(t, r, c); got.Request.Headers.Get("X-Tenant") != masked || len(got.Attempts) != 0 {
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
		if got := succeeds(t, onLoopback(t), c); got.Request.URL != at+"?v=1&key="+masked {
			t.Errorf("got %+v", got.Request)
		}
	})
}

func TestMCPAServerIsOfferedNothing(t *testing.T) {
	overEach(t, func(t *testing.T, transport domain.MCPTransport) {
		got := asJSON(t, call(t, onLoopback(t), tooling(transport, toolbox(t, transport, nil), "asks", nil)))
		if strings.Contains(got, "roots were told") {
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

func TestMCPAProbeTellsWhomItFound(t *testing.T) {
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
