package demo

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const recordsPath = "/records/mcp"

type personKey struct{}

// records is an MCP server that only persons may use: it answers for who has signed in.
func (h *hospital) records() http.Handler {
	server := mcp.NewServer(&mcp.Implementation{Name: "demo-records", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "my_next_visit", Description: "The next visit of the person who has signed in."},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			person, _ := ctx.Value(personKey{}).(string)
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: person + " visits on 2026-12-01 at 09:00."}}}, nil, nil
		})
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		h.persons.mu.Lock()
		person := h.persons.tokens[token]
		h.persons.mu.Unlock()
		if person == "" {
			w.Header().Set("WWW-Authenticate", `Bearer resource_metadata="`+h.url+`/.well-known/oauth-protected-resource`+recordsPath+`", scope="records"`)
			respond(w, http.StatusUnauthorized, map[string]any{"error": "invalid_token"})
			return
		}
		handler.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), personKey{}, person)))
	})
}

func decode(r *http.Request, into any) error {
	return json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<16)).Decode(into)
}
