package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// hospital is what a hospital runs: an authorization server, a FHIR server that takes its
// tokens, an MCP server with a tool for the wards, and one that takes the tokens of persons.
type hospital struct {
	url     string
	server  *http.Server
	persons *persons
	mu      sync.Mutex
	tokens  map[string]bool // that were given out
}

// hospitalClient is known to the authorization server.
const (
	hospitalClient = "demo-client"
	hospitalSecret = "demo-secret-77c1" //nolint:gosec // of an upstream that lives as long as the demo
)

func startHospital(ctx context.Context) (*hospital, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	at := "http://" + l.Addr().String()
	h := &hospital{url: at, tokens: map[string]bool{}, persons: newPersons(at)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", h.token)
	mux.HandleFunc("GET /fhir/metadata", func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusOK, map[string]any{
			"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "software": map[string]any{"name": "Demo Hospital", "version": "1"},
		})
	})
	mux.HandleFunc("GET /fhir/Patient", h.signedIn(h.patients))
	mux.Handle("/mcp", h.wards())
	mux.Handle(recordsPath, h.records())
	h.persons.routes(mux, recordsPath)
	h.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = h.server.Serve(l) }()
	return h, nil
}

func (h *hospital) close() { _ = h.server.Close() }

// token gives out a token for client credentials (RFC 6749, 4.4).
func (h *hospital) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	if id != hospitalClient || secret != hospitalSecret || r.FormValue("grant_type") != "client_credentials" {
		respond(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	token := rand.Text()
	h.mu.Lock()
	h.tokens[token] = true
	h.mu.Unlock()
	respond(w, http.StatusOK, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 300})
}

func (h *hospital) signedIn(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var token string
		_, _ = fmt.Sscanf(r.Header.Get("Authorization"), "Bearer %s", &token)
		h.mu.Lock()
		known := h.tokens[token]
		h.mu.Unlock()
		if !known {
			respond(w, http.StatusUnauthorized, outcome("login", "a token of this hospital is needed"))
			return
		}
		next(w, r)
	}
}

func (h *hospital) patients(w http.ResponseWriter, r *http.Request) {
	family := r.URL.Query().Get("family")
	if family == "" {
		respond(w, http.StatusBadRequest, outcome("required", "family is needed to search for patients"))
		return
	}
	respond(w, http.StatusOK, map[string]any{
		"resourceType": "Bundle", "type": "searchset", "total": 1,
		"entry": []any{map[string]any{"resource": map[string]any{
			"resourceType": "Patient", "id": "p-17", "name": []any{map[string]any{"family": family, "given": []any{"Ada"}}}, "birthDate": "1985-12-10",
		}}},
	})
}

func outcome(code, diagnostics string) map[string]any {
	return map[string]any{"resourceType": "OperationOutcome", "issue": []any{map[string]any{"severity": "error", "code": code, "diagnostics": diagnostics}}}
}

// wards is an MCP server with one tool.
func (h *hospital) wards() http.Handler {
	server := mcp.NewServer(&mcp.Implementation{Name: "demo-wards", Version: "1"}, nil)
	type where struct {
		Ward string `json:"ward" jsonschema:"the name of the ward"`
	}
	mcp.AddTool(server, &mcp.Tool{Name: "free_beds", Description: "Count the free beds of a ward."},
		func(_ context.Context, _ *mcp.CallToolRequest, at where) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprintf("%s has %d free beds.", at.Ward, len(at.Ward))}}}, nil, nil
		})
	return mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true})
}
