package demo

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/internal/terminal"
)

// connectHospital integrates a FHIR server that wants a token, and an MCP server.
func (t *tour) connectHospital(h *hospital) {
	const all = "/v1/demo/integrations"
	t.do(exchange{
		title:  "A FHIR server wants a token; give it client credentials.",
		method: "POST", path: all, want: http.StatusCreated,
		body: map[string]any{
			"name": "hospital", "display_name": "Hospital", "protocol": "fhir", "base_url": h.url + "/fhir",
			"auth": map[string]any{
				"type": "oauth2_client_credentials", "client_id": hospitalClient, "client_secret_value": hospitalSecret, "token_url": h.url + "/token",
			},
			"endpoints": []any{map[string]any{
				"name": "search_patients", "description": "Search for patients by family name.", "method": "GET", "path": "/Patient",
				"result_template": "{{ total }} found: {{ entry[0].resource.name[0].given[0] }} {{ entry[0].resource.name[0].family }}",
			}},
		},
	})
	t.do(exchange{
		title:  "An MCP server; an endpoint is one of its tools.",
		method: "POST", path: all, want: http.StatusCreated,
		body: map[string]any{
			"name": "wards", "display_name": "Wards", "protocol": "mcp", "mcp_transport": "http", "mcp_url": h.url + "/mcp",
			"endpoints": []any{map[string]any{"name": "free_beds", "description": "Count the free beds of a ward.", "path": ""}},
		},
	})
}

// useHospital tests the endpoints of the hospital.
func (t *tour) useHospital() {
	const all = "/v1/demo/integrations"
	t.do(exchange{
		title: "Test the connection of the hospital, and search: the service fetches a token.", method: "POST", path: all + "/hospital/test-connection", want: http.StatusOK,
		check: wants("healthy", "status"),
	})
	t.do(exchange{
		method: "POST", path: all + "/hospital/endpoints/search_patients/test", want: http.StatusOK,
		body: map[string]any{"params": map[string]any{"family": "Lovelace"}}, check: wants("1 found: Ada Lovelace", "final_result"),
	})
	t.do(exchange{
		title: "An OperationOutcome is returned as an error.", method: "POST", path: all + "/hospital/endpoints/search_patients/test", want: http.StatusOK,
		check: func(r reply) string {
			if !strings.Contains(fmt.Sprint(r.at("error")), "family is needed") {
				return "the error should contain the message of the server"
			}
			return ""
		},
	})
	t.do(exchange{
		title: "Call the tool.", method: "POST", path: all + "/wards/endpoints/free_beds/test", want: http.StatusOK,
		body: map[string]any{"params": map[string]any{"ward": "north"}}, check: wants("north has 5 free beds.", "final_result"),
	})
}

// actAsAgent uses the workspace as an LLM's agent would: as one MCP server.
func (t *tour) actAsAgent(one string) {
	t.do(exchange{
		title: "All of it as tool definitions for an LLM.", method: "GET", path: "/v1/demo/integration-tools?format=anthropic", want: http.StatusOK,
		check: wants("clinic-scheduler__list_slots", "tools", "0", "name"),
	})
	created := t.do(exchange{
		title:  "An AI agent gets one key. With it the workspace is one MCP server, at /v1/demo/mcp.",
		method: "POST", path: "/v1/demo/api-keys", want: http.StatusCreated,
		body: map[string]any{"name": "agent", "permissions": []any{"Integration.invoke"}}, brief: []string{},
	})
	if t.failed != nil {
		return
	}
	t.agentKey, _ = created.at("key").(string)
	if err := t.callTools(); err != nil {
		t.fail(err)
	}
	t.do(exchange{
		title: "The agent's key opens nothing else.", method: "GET", path: one, want: http.StatusForbidden, asAgent: true,
		check: wants("forbidden", "code"), brief: []string{"detail"},
	})
}

// withKey adds an API key to every request.
type withKey string

func (k withKey) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(k))
	return http.DefaultTransport.RoundTrip(r)
}

// callTools lists the tools of the workspace and calls some, over MCP.
func (t *tour) callTools() error {
	agent := mcp.NewClient(&mcp.Implementation{Name: "demo-agent", Version: "1"}, nil)
	session, err := agent.Connect(t.ctx, &mcp.StreamableClientTransport{
		Endpoint: t.base + "/v1/demo/mcp", HTTPClient: &http.Client{Transport: withKey(t.agentKey)}, DisableStandaloneSSE: true,
	}, nil)
	if err != nil {
		return err
	}
	defer func() { _ = session.Close() }()
	list, err := session.ListTools(t.ctx, nil)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(t.out, "tools/list")
	for _, tool := range list.Tools {
		_, _ = fmt.Fprintf(t.out, "  %-34s %s\n", tool.Name, tool.Description)
	}
	for _, call := range []struct {
		tool      string
		arguments map[string]any
		contains  string
	}{
		{"clinic-scheduler__list_slots", map[string]any{"clinic": "north", "date": "2026-12-01"}, "2026-12-01T09:00:00Z"},
		{"hospital__search_patients", map[string]any{"family": "Lovelace"}, "Ada Lovelace"},
		{"wards__free_beds", map[string]any{"ward": "south"}, "5 free beds"},
	} {
		result, err := session.CallTool(t.ctx, &mcp.CallToolParams{Name: call.tool, Arguments: call.arguments})
		if err != nil {
			return err
		}
		text, _ := result.Content[0].(*mcp.TextContent)
		_, _ = fmt.Fprintf(t.out, "tools/call %s %s\n  %s\n", call.tool, terminal.ShortJSON(call.arguments), text.Text)
		if result.IsError || !strings.Contains(text.Text, call.contains) {
			return fmt.Errorf("%s should return %q", call.tool, call.contains)
		}
	}
	return nil
}
