package transport_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

func callTool(t *testing.T, session *mcp.ClientSession, name string, arguments any) *mcp.CallToolResult {
	t.Helper()
	got, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: name, Arguments: arguments})
	require.NoError(t, err)
	return got
}

func firstText(r *mcp.CallToolResult) string { return r.Content[0].(*mcp.TextContent).Text }

func TestAModelSeesWhyTheUpstreamRefusedAndWhereItPutWhatItCreated(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const token = "t0ken-of-the-upstream"
	u := listen(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/refused":
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"message":"quantity must be at least 1","key":"` + token + `"}`))
		case "/long":
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(strings.Repeat("é", 50_000)))
		case "/created":
			w.Header().Set("Location", "/things/77")
			w.WriteHeader(http.StatusCreated)
		case "/shown":
			w.Header().Set("Location", "/things/78")
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{"name":"x"}`))
		case "/picture":
			w.Header().Set("Content-Type", "image/png")
			_, _ = w.Write([]byte("\x89PNG\r\n\x1a\n\x00\xff"))
		case "/accepted":
			w.Header().Set("Content-Location", "/jobs/79")
			w.WriteHeader(http.StatusAccepted)
		}
	})
	var endpoints []any
	for _, name := range []string{"refused", "long", "created", "shown", "accepted", "picture"} {
		endpoints = append(endpoints, endpoint(name, members{"path": "/" + name, "method": "POST"}))
	}
	s.create(rest("crm", u.url, members{"auth": members{"bearer_token_value": token}, "endpoints": endpoints}))
	session, err := s.mcp(t, s.key)
	require.NoError(t, err)
	defer func() { _ = session.Close() }()

	refused := callTool(t, session, "crm__refused", nil)
	require.True(t, refused.IsError)
	require.Contains(t, firstText(refused), "400 Bad Request")
	require.Contains(t, firstText(refused), "quantity must be at least 1")
	require.NotContains(t, firstText(refused), token)
	require.Less(t, len([]rune(firstText(callTool(t, session, "crm__long", nil)))), 4200)

	require.JSONEq(t, `{"location":"/things/77"}`, firstText(callTool(t, session, "crm__created", nil)))
	shown := callTool(t, session, "crm__shown", nil)
	require.JSONEq(t, `{"name":"x"}`, firstText(shown))
	require.Contains(t, shown.Content[1].(*mcp.TextContent).Text, "Location: /things/78")
	require.Equal(t, &mcp.ImageContent{Data: []byte("\x89PNG\r\n\x1a\n\x00\xff"), MIMEType: "image/png"}, callTool(t, session, "crm__picture", nil).Content[0])
	require.JSONEq(t, `{"content_location":"/jobs/79"}`, firstText(callTool(t, session, "crm__accepted", nil)))
}

func TestTheContentOfAToolPassesAsItIsWhereTheEndpointShapesNothing(t *testing.T) {
	t.Parallel()
	results := map[string]string{
		"image":      `{"content":[{"type":"image","data":"iVBORy4uLi4=","mimeType":"image/png","annotations":{"audience":["user"],"priority":0.5}}]}`,
		"audio":      `{"content":[{"type":"audio","data":"iVBORy4uLi4=","mimeType":"audio/wav"}]}`,
		"resource":   `{"content":[{"type":"resource","resource":{"uri":"file:///a","mimeType":"text/plain","text":"inside"}}]}`,
		"link":       `{"content":[{"type":"resource_link","uri":"file:///a","name":"a"}]}`,
		"texts":      `{"content":[{"type":"text","text":"one"},{"type":"text","text":"two"}]}`,
		"structured": `{"content":[{"type":"text","text":"for people"}],"structuredContent":{"id":9007199254740993}}`,
		"failed":     `{"content":[{"type":"text","text":"no such thing"},{"type":"image","data":"iVBORy4uLi4=","mimeType":"image/png"}],"isError":true}`,
	}
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var message struct {
			ID     json.RawMessage
			Method string
			Params struct{ Name string }
		}
		_ = json.NewDecoder(r.Body).Decode(&message)
		answer := func(member, value string) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"jsonrpc":"2.0","id":` + string(message.ID) + `,"` + member + `":` + value + `}`))
		}
		switch message.Method {
		case "initialize":
			answer("result", `{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"x","version":"0"}}`)
		case "tools/call":
			answer("result", results[strings.TrimSuffix(message.Params.Name, "_shaped")])
		case "notifications/initialized":
			w.WriteHeader(http.StatusAccepted)
		default:
			answer("error", `{"code":-32601,"message":"no"}`)
		}
	}))
	t.Cleanup(at.Close)
	s := serve(t)
	var endpoints []any
	for name := range results {
		endpoints = append(endpoints, endpoint(name, members{"path": "", "input_schema": members{"type": "object"}}))
	}
	endpoints = append(endpoints, endpoint("image_shaped", members{"path": "", "input_schema": members{"type": "object"}, "result_key": "[0].mimeType"}))
	s.create(members{"name": "tools", "display_name": "Tools", "protocol": "mcp", "mcp_transport": "http", "mcp_url": at.URL, "endpoints": endpoints})
	session, err := s.mcp(t, s.key)
	require.NoError(t, err)
	defer func() { _ = session.Close() }()
	for name, result := range results {
		got := callTool(t, session, "tools__"+name, nil)
		var want mcp.CallToolResult
		own := strings.ReplaceAll(result, `"uri":"file:`, `"uri":"integrations://tools/file:`) // by which the client can read it
		require.NoError(t, json.Unmarshal([]byte(own), &want))
		require.Equal(t, want.Content, got.Content, name)
		require.Equal(t, want.StructuredContent, got.StructuredContent, name)
		require.Equal(t, want.IsError, got.IsError, name)
	}
	require.Equal(t, "image/png", firstText(callTool(t, session, "tools__image_shaped", nil)))
}

func TestACallerThatLeavesEndsTheCallOfTheUpstream(t *testing.T) {
	t.Parallel()
	arrived, ended := make(chan struct{}), make(chan struct{})
	u := listen(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		select {
		case <-r.Context().Done():
			close(ended)
		case <-t.Context().Done():
		}
	})
	s := serve(t)
	s.create(rest("crm", u.url, members{"endpoints": []any{endpoint("slow", members{"timeout_ms": 120_000})}}))
	session, err := s.mcp(t, s.key)
	require.NoError(t, err)
	defer func() { _ = session.Close() }()
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-arrived
		leave()
	}()
	_, err = session.CallTool(ctx, &mcp.CallToolParams{Name: "crm__slow"})
	require.Error(t, err)
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the upstream's call goes on")
	}
}

// Clients refuse a resource that has neither a text nor a blob.
func TestAnEmptyTextOfAResourceIsKept(t *testing.T) {
	t.Parallel()
	empty := `{"uri":"file:///a","mimeType":"text/plain","text":""}`
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var message struct {
			ID     json.RawMessage
			Method string
		}
		_ = json.NewDecoder(r.Body).Decode(&message)
		result, known := map[string]string{
			"initialize":     `{"protocolVersion":"2025-06-18","capabilities":{"tools":{},"resources":{},"prompts":{}},"serverInfo":{"name":"x","version":"0"}}`,
			"tools/call":     `{"content":[{"type":"resource","resource":` + empty + `},{"type":"resource","resource":{"uri":"file:///b","blob":""}}]}`,
			"resources/read": `{"contents":[` + empty + `,{"uri":"file:///b","text":"b"}]}`,
			"prompts/get":    `{"messages":[{"role":"user","content":{"type":"resource","resource":` + empty + `}}]}`,
		}[message.Method]
		if len(message.ID) == 0 {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		answer := `"result":` + result
		if !known {
			answer = `"error":{"code":-32601,"message":"no"}`
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"jsonrpc":"2.0","id":` + string(message.ID) + `,` + answer + `}`))
	}))
	t.Cleanup(at.Close)
	s := serve(t)
	s.create(members{"name": "tools", "display_name": "Tools", "protocol": "mcp", "mcp_transport": "http", "mcp_url": at.URL, "endpoints": []any{
		endpoint("read", members{"path": "", "input_schema": members{"type": "object"}}),
	}})
	for _, version := range []string{"2025-06-18", "2024-11-05"} {
		for call, where := range map[string][]any{
			`"tools/call","params":{"name":"tools__read","arguments":{}}`:                          {"result", "content", 0, "resource"},
			`"resources/read","params":{"uri":"` + domain.ResourceURI("tools", "file:///a") + `"}`: {"result", "contents", 0},
			`"prompts/get","params":{"name":"tools__greet"}`:                                       {"result", "messages", 0, "content", "resource"},
		} {
			got := s.send(request{method: "POST", path: "/v1/acme/mcp", body: `{"jsonrpc":"2.0","id":7,"method":` + call + `}`, wrong: true, header: map[string]string{
				"Accept": "application/json, text/event-stream", "Content-Type": "application/json", "Mcp-Protocol-Version": version,
			}}).is(200)
			require.Equal(t, members{"uri": domain.ResourceURI("tools", "file:///a"), "mimeType": "text/plain", "text": ""}, got.at(where...), got.text)
		}
	}
}
