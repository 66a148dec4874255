package transport_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
)

const trace, traceID = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "4bf92f3577b34da6a3ce929d0e0e4736"

func TestOneTraceLeadsFromTheCallerToTheUpstream(t *testing.T) {
	t.Parallel()
	s := serve(t)
	u := s.slots(t, "clinic")
	call := func(parent string) {
		s.send(request{
			method: "POST", path: "/integrations/clinic/endpoints/list_slots/invoke", body: members{"params": members{"day": "mon"}},
			header: map[string]string{"Traceparent": parent},
		}).is(200)
	}
	latest := func() string {
		return s.get("/integrations/calls?limit=1").is(200).at("items", 0, "trace_id").(string)
	}
	call(trace)
	require.Equal(t, trace, u.last(t).Header.Get("Traceparent"))
	require.Equal(t, traceID, latest())
	require.Equal(t, trace, s.recorded(t, 1)[0].Meta.TraceParent)

	seen := map[string]bool{traceID: true}
	for _, none := range []string{"", "00-" + traceID + "-0000000000000000-01", "garbage"} {
		call(none)
		began := domain.TraceID(u.last(t).Header.Get("Traceparent"))
		require.NotEmpty(t, began)
		require.False(t, seen[began], "a new trace")
		require.Equal(t, began, latest())
		seen[began] = true
	}
	dry := s.post("/integrations/clinic/endpoints/list_slots/test", members{"params": members{"day": "mon"}, "dry_run": true}).is(200)
	require.NotEmpty(t, dry.at("request", "headers", "Traceparent"), "a test shows what is sent")
}

func TestAToolOfAnMCPServerIsCalledInTheTraceOfTheCaller(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var header, meta string
	upstream := mcp.NewServer(&mcp.Implementation{Name: "upstream", Version: "1"}, nil)
	upstream.AddTool(&mcp.Tool{Name: "list", InputSchema: map[string]any{"type": "object"}}, func(_ context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		mu.Lock()
		defer mu.Unlock()
		meta, _ = r.Params.Meta["traceparent"].(string)
		header = r.Extra.Header.Get("Traceparent")
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "done"}}}, nil
	})
	srv := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return upstream }, nil))
	t.Cleanup(srv.Close)
	s := serve(t)
	s.create(members{
		"name": "tools", "display_name": "Tools", "protocol": "mcp", "mcp_transport": "http", "mcp_url": srv.URL,
		"endpoints": []any{members{"name": "list", "description": "Lists", "path": ""}},
	})
	s.send(request{method: "POST", path: "/integrations/tools/endpoints/list/invoke", header: map[string]string{"Traceparent": trace}}).is(200)
	require.Equal(t, []string{trace, trace}, []string{header, meta})

	session, err := s.mcp(t, s.issue("acme", access.Invoke))
	require.NoError(t, err)
	defer func() { _ = session.Close() }()
	const named = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "tools__list", Meta: mcp.Meta{"traceparent": named}})
	require.NoError(t, err)
	require.False(t, result.IsError, "%s", result.Content[0].(*mcp.TextContent).Text)
	require.Equal(t, []string{named, named}, []string{header, meta})
	require.Equal(t, domain.TraceID(named), s.get("/integrations/calls?kind=mcp").is(200).at("items", 0, "trace_id"))
}
