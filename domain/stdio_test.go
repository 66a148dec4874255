package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

const started = `{"name": "files", "display_name": "Files", "protocol": "mcp", "mcp_transport": "stdio", "mcp_command": "files", "mcp_args": ["/srv/a", "x"],
	"endpoints": [{"name": "list", "description": "List.", "path": ""}]}`

func TestAnMCPServerIsStartedByAProfileAndItsArguments(t *testing.T) {
	i := created(t, started)
	require.Equal(t, domain.Stdio, i.MCPTransport)
	require.Equal(t, "files", i.MCPCommand)
	require.Equal(t, []string{"/srv/a", "x"}, i.MCPArgs)

	d, err := i.Update(doc(t, `{"mcp_args": ["/srv/b", "x"]}`), domain.Attempt{At: later, ID: "b"}, rules)
	require.NoError(t, err)
	require.Equal(t, []string{"/mcp_args/0"}, d.Event.(domain.IntegrationUpdated).Changed)
	d, err = i.Update(doc(t, `{"base_url": null, "mcp_url": null, "mcp_headers": {}, "auth": null, "mcp_args": ["/srv/a", "x"]}`), domain.Attempt{At: later, ID: "b"}, rules)
	require.NoError(t, err)
	require.Nil(t, d.Event, "a document that was read can be sent back")
	_, err = i.Update(doc(t, `{"mcp_args": ["/etc", "x"]}`), domain.Attempt{At: later, ID: "b"}, rules)
	requireProblem(t, err, "/mcp_args/0", "pattern")
}

func TestWithoutProfilesNoProcessIsStarted(t *testing.T) {
	without := rules
	without.Stdio = nil
	_, err := domain.Integration{}.Create("acme", doc(t, started), domain.Attempt{At: noon, ID: "a"}, without)
	requireProblem(t, err, "/mcp_transport", "mcp_stdio_disabled")

	// Nor can one that was configured while there were profiles, whatever is changed.
	_, err = created(t, started).Update(doc(t, `{"display_name": "Other"}`), domain.Attempt{At: later, ID: "b"}, without)
	requireProblem(t, err, "/mcp_transport", "mcp_stdio_disabled")
	_, err = created(t, started).Update(doc(t, `{"mcp_transport": "http", "mcp_url": "https://mcp.example.com"}`), domain.Attempt{At: later, ID: "b"}, without)
	require.NoError(t, err)
	_, err = created(t, started).Delete("", domain.Attempt{At: later, ID: "b"})
	require.NoError(t, err)
}

func TestFieldsOfAnotherTransportAreDroppedWithIt(t *testing.T) {
	over := func(i domain.Integration, text string) domain.Integration {
		t.Helper()
		d, err := i.Update(doc(t, text), domain.Attempt{At: later, ID: "b"}, rules)
		require.NoError(t, err)
		return domain.Evolve(i, d.Event)
	}
	http := over(created(t, tooled), `{"auth": {"bearer_token_value": "t"}, "base_url": "https://a.example.com",
		"endpoints": [{"name": "list", "description": "List.", "path": "", "headers": {"X-A": "1"}, "auth": {"type": "basic", "username": "u", "password_value": "p"}}]}`)
	require.Len(t, http.Secrets(), 3)

	process := over(http, `{"mcp_transport": "stdio", "mcp_command": "files", "mcp_args": ["/srv/a", "x"]}`)
	require.Empty(t, process.Secrets())
	require.Empty(t, process.MCPURL)
	require.Empty(t, process.BaseURL)
	require.Empty(t, process.Endpoints[0].Headers)
	require.Len(t, http.Secrets(), 3, "the previous state is unchanged")

	back := over(process, `{"mcp_transport": "http", "mcp_url": "https://mcp.example.com/mcp"}`)
	require.Empty(t, back.MCPCommand)
	require.Empty(t, back.MCPArgs)
}

func TestTheAuthOfAnEndpointOfAnMCPServerGoesToTheServer(t *testing.T) {
	i := created(t, `{"name": "tools", "display_name": "Tools", "protocol": "mcp", "mcp_transport": "http", "mcp_url": "https://mcp.example.com/mcp", "base_url": "https://a.example.com",
		"endpoints": [{"name": "list", "description": "List.", "path": "", "base_url": "https://b.example.com", "auth": {"bearer_token_value": "t"}}]}`)
	require.Equal(t, []string{"https://mcp.example.com:443 bearer_token"}, i.Endpoints[0].Auth.Secret().Destinations)

	_, err := i.Update(doc(t, `{"mcp_url": "https://evil.example.com/mcp"}`), domain.Attempt{At: later, ID: "b"}, rules)
	requireProblem(t, err, "/endpoints/0/auth/bearer_token_value", "secret_required")
}
