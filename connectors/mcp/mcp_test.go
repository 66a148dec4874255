package mcp_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/mcp"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

const secret = "s3cr3t-4711"

// serve starts an MCP server whose requests must carry the secret.
func serve(t *testing.T) mcp.Server {
	t.Helper()
	server := sdk.NewServer(&sdk.Implementation{Name: "test " + secret, Version: "1"}, nil)
	type argument struct {
		Text string `json:"text"`
	}
	reply := func(text string, failed bool) *sdk.CallToolResult {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: text}}, IsError: failed}
	}
	sdk.AddTool(server, &sdk.Tool{Name: "echo"}, func(_ context.Context, _ *sdk.CallToolRequest, a argument) (*sdk.CallToolResult, any, error) {
		return reply(a.Text, false), nil, nil
	})
	sdk.AddTool(server, &sdk.Tool{Name: "fail"}, func(context.Context, *sdk.CallToolRequest, argument) (*sdk.CallToolResult, any, error) {
		return reply("no access with "+secret, true), nil, nil
	})
	sdk.AddTool(server, &sdk.Tool{Name: "flood"}, func(context.Context, *sdk.CallToolRequest, argument) (*sdk.CallToolResult, any, error) {
		return reply(strings.Repeat("x", egress.MaxBody), false), nil, nil
	})
	handler := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return server }, nil)
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+secret || r.URL.Query().Get("key") != "k" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, "who is there?")
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(at.Close)
	client, err := egress.New(egress.Config{AllowLoopback: true})
	require.NoError(t, err)
	return mcp.Server{
		URL: at.URL, Client: client, Header: http.Header{"Authorization": {"Bearer " + secret}}, Query: "key=k",
		Scrubber: scrub.New(secret), Version: "test",
	}
}

func TestASessionListsAndCallsTools(t *testing.T) {
	s, e := mcp.Connect(t.Context(), serve(t))
	require.Nil(t, e)
	defer s.Close()
	require.Contains(t, s.Introduction(), "(test [secret] 1)")
	page, e := s.ListTools(t.Context(), "")
	require.Nil(t, e)
	require.Equal(t, "3 tools", page.String())
	got, e := s.CallTool(t.Context(), "echo", map[string]any{"text": "hello"})
	require.Nil(t, e)
	require.Equal(t, "hello", string(got.Body))
	require.Equal(t, http.StatusOK, s.Last().Status)
	_, e = s.CallTool(t.Context(), "fail", map[string]any{"text": ""})
	require.Equal(t, domain.CallToolError, e.Code)
	require.Equal(t, "The tool failed: no access with [secret].", e.Sentence)
	_, e = s.CallTool(t.Context(), "none", nil)
	require.Equal(t, domain.CallMisconfigured, e.Code)
}

func TestAnAnswerThatIsTooLongEndsTheSession(t *testing.T) {
	s, e := mcp.Connect(t.Context(), serve(t))
	require.Nil(t, e)
	defer s.Close()
	_, e = s.CallTool(t.Context(), "flood", map[string]any{"text": ""})
	require.Equal(t, domain.CallResponseTooLarge, e.Code)
	_, e = s.CallTool(t.Context(), "echo", map[string]any{"text": ""})
	require.Equal(t, domain.CallResponseTooLarge, e.Code, "nothing is sent after it")
}

func TestASessionThatIsRefusedReportsTheStatus(t *testing.T) {
	server := serve(t)
	server.Query = ""
	s, e := mcp.Connect(t.Context(), server)
	require.Equal(t, domain.CallAuthFailed, e.Code)
	require.Equal(t, http.StatusUnauthorized, s.Last().Status)
}

func TestNothingIsSentToAnotherOrigin(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was called") }))
	defer elsewhere.Close()
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "event: endpoint\ndata: "+elsewhere.URL+"/messages\n\n")
	}))
	defer at.Close()
	server := serve(t)
	server.URL, server.SSE = at.URL, true
	_, e := mcp.Connect(t.Context(), server)
	require.Equal(t, domain.CallUpstreamError, e.Code)
}
