package connectors

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/connectors/egress"
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
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
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
	result := func(texts ...string) (*sdk.CallToolResult, error) {
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
			return result("Hello, " + in.Who)
		})
	add("echo", open, func(_ context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return result(string(r.Params.Arguments))
	})
	add("structured", open, func(_ context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "for people"}}, StructuredContent: r.Params.Arguments}, nil
	})
	add("several", open, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) { return result("one", "two") })
	add("nothing", open, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) { return result() })
	add("fails", open, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		got, err := result("the stock of " + strings.Repeat("é", 1500) + " is empty.")
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
		return result(strings.Repeat("x", egress.MaxBody))
	})
	add("headers", open, func(_ context.Context, _ *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		all, _ := json.Marshal(headers.Load())
		return result(string(all))
	})
	add("asks", open, func(ctx context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		var listed []string
		_, err := r.Session.CreateMessage(ctx, &sdk.CreateMessageParams{}) //nolint:staticcheck // what servers may still ask
		listed = append(listed, fmt.Sprint(err))
		if _, err = r.Session.ListRoots(ctx, nil); err == nil { //nolint:staticcheck // the same
			listed = append(listed, "roots were listed")
		}
		_, err = r.Session.Elicit(ctx, &sdk.ElicitParams{Message: "your password?"})
		return result(append(listed, fmt.Sprint(err))...)
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

// overheard reports whether anything was answered.
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

// asking returns the method and the id of a message, which stays to be read.
func asking(r *http.Request) (method string, id json.RawMessage) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	var message struct {
		Method string
		ID     json.RawMessage
	}
	_ = json.Unmarshal(body, &message)
	return message.Method, message.ID
}

func isCallOf(r *http.Request, method string) bool {
	asked, _ := asking(r)
	return asked == method
}

// crooked is a server over HTTP that connects as it should, has the tool "tool",
// and answers everything else with answer.
func crooked(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, method string, id json.RawMessage)) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method, id := asking(r)
		switch {
		case r.Method != http.MethodPost:
			w.WriteHeader(http.StatusMethodNotAllowed)
		case method == "server/discover":
			replies(w, id, `"error":{"code":-32601,"message":"no such method"}`)
		case method == "initialize":
			replies(w, id, `"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"crooked","version":"0"}}`)
		case id == nil:
			w.WriteHeader(http.StatusAccepted)
		default:
			answer(w, r, method, id)
		}
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return server.URL + "/mcp"
}

// answering is a server over HTTP whose every answer is written by answer.
func answering(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, method string, id json.RawMessage)) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method, id := asking(r)
		answer(w, r, method, id)
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return server.URL + "/mcp"
}

func replies(w http.ResponseWriter, id json.RawMessage, result string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,%s}`, id, result)
}

// own is a call of "tool", which has a schema of its own so that no tools are
// listed.
func own(transport domain.MCPTransport, at string) domain.Call {
	c := tooling(transport, at, "tool", nil)
	c.Endpoint.InputSchema = json.RawMessage(`{"type":"object"}`)
	return c
}
