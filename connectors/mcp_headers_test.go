package connectors

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

func TestMCPArgumentsTravelAsHeadersAndTheToolsAreListedOnce(t *testing.T) {
	const schema = `{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"q":{"type":"string"}}}`
	server := sdk.NewServer(&sdk.Implementation{Name: "x", Version: "0"}, nil)
	server.AddTool(&sdk.Tool{Name: "find.it", InputSchema: json.RawMessage(schema)}, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "found"}}}, nil
	})
	handler := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return server }, &sdk.StreamableHTTPOptions{Stateless: true, JSONResponse: true})
	var listed, called atomic.Int64
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch method, _ := asking(r); method {
		case toolsList:
			listed.Add(1)
		case toolsCall:
			if r.Header.Get("Mcp-Param-Region") == "eu" {
				called.Add(1)
			}
		}
		handler.ServeHTTP(w, r)
	}))
	defer at.Close()
	for name, own := range map[string]string{"with a schema of its own": schema, "without one": `{}`} {
		t.Run(name, func(t *testing.T) {
			listed.Store(0)
			called.Store(0)
			r := onLoopback(t)
			for range 3 {
				c := tooling(domain.HTTP, at.URL, "find", map[string]any{"region": "eu", "q": "x"})
				c.Endpoint.Tool, c.Endpoint.InputSchema = "find.it", json.RawMessage(own)
				require.Equal(t, "found", succeeds(t, r, c).FinalResult)
			}
			require.Equal(t, int64(1), listed.Load())
			require.Equal(t, int64(3), called.Load())
		})
	}
}
