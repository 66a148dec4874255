package transport_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/connectors"
	"github.com/seed677028b5/integrations/connectors/sandbox"
)

// asServer is the argument that makes the test binary an MCP server.
const asServer = "an-mcp-server-of-the-tests"

func serveStdio() {
	type message struct {
		Message string `json:"message"`
	}
	server := sdk.NewServer(&sdk.Implementation{Name: "own", Version: "1"}, nil)
	sdk.AddTool(server, &sdk.Tool{Name: "echo"}, func(_ context.Context, _ *sdk.CallToolRequest, in message) (*sdk.CallToolResult, any, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "Echo: " + in.Message}}}, nil, nil
	})
	_ = server.Run(context.Background(), &sdk.StdioTransport{})
}

// startingPrograms lets a service start the test binary as an MCP server.
func startingPrograms(t *testing.T) func(*settings) {
	t.Helper()
	if _, err := sandbox.Find(); err != nil {
		t.Skip("NOT TESTED: " + err.Error())
	}
	self, err := os.Executable()
	require.NoError(t, err)
	self, err = filepath.EvalSymlinks(self)
	require.NoError(t, err)
	return func(s *settings) {
		s.profiles = []connectors.Profile{{
			Name: "own", Executable: self, Arguments: []string{asServer}, Limits: connectors.ProfileLimits{MemoryMB: 1 << 20}, // the race detector reserves what there is
		}}
	}
}

func program(name string) members {
	return members{
		"name": name, "display_name": name, "protocol": "mcp", "mcp_transport": "stdio", "mcp_command": "own",
		"endpoints": []any{endpoint("echo", members{"path": "", "method": "POST"})},
	}
}

func TestAProgramOfAProfileIsUsedLikeAnyOtherServer(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	t.Parallel()
	s := serve(t, startingPrograms(t))
	s.create(program("tools"))
	require.Equal(t, "healthy", s.post("/integrations/tools/test-connection", nil).is(200).at("status"))
	body := members{"params": members{"message": "hello"}}
	tested := s.post("/integrations/tools/endpoints/echo/test", body).is(200)
	require.Equal(t, "Echo: hello", tested.at("final_result"))
	require.Equal(t, "stdio:own", tested.at("request", "url"))
	require.Equal(t, "tools/call", tested.at("request", "method"))
	require.Nil(t, tested.at("status_code"))
	require.Equal(t, "Echo: hello", s.post("/integrations/tools/endpoints/echo/invoke", body).is(200).at("final_result"))
	require.Equal(t, "echo", s.post("/integrations/tools/discover", nil).is(200).at("endpoints", 0, "name"))
	require.Equal(t, "healthy", s.get("/integrations/health-check").is(200).results()["tools"])
	session, err := s.mcp(t, s.key)
	require.NoError(t, err)
	result, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: "tools__echo", Arguments: members{"message": "hi"}})
	require.NoError(t, err)
	require.Equal(t, "Echo: hi", result.Content[0].(*sdk.TextContent).Text)
}

// Starting a process, directly or later, needs the permission Integration.exec in addition to
// the route's own.
func TestStartingAProcessNeedsItsOwnPermission(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	t.Parallel()
	s := serve(t, startingPrograms(t))
	s.create(program("tools"))
	s.create(rest("crm", "https://crm.example.com"))
	call := members{"params": members{"message": "hello"}}
	for _, row := range []struct {
		needs        access.Permission
		method, path string
		body         any
		status       int
	}{
		{access.Create, "POST", "/integrations", program("more"), 201},
		{access.Create, "POST", "/integrations?dry_run=true", program("again"), 200},
		{access.Update, "PUT", "/integrations/tools", members{"display_name": "Other"}, 200},
		{access.Update, "POST", "/integrations/tools/restore", members{"version": 1}, 200},
		{access.Update, "PUT", "/integrations/crm", members{"protocol": "mcp", "mcp_transport": "stdio", "mcp_command": "own", "base_url": nil}, 200},
		{access.View, "POST", "/integrations/test-connection", members{"protocol": "mcp", "mcp_transport": "stdio", "mcp_command": "own"}, 200},
		{access.View, "POST", "/integrations/test-connection", members{"id": "tools"}, 200},
		{access.View, "POST", "/integrations/tools/test-connection", nil, 200},
		{access.View, "POST", "/integrations/tools/discover", nil, 200},
		{access.View, "POST", "/integrations/tools/endpoints/echo/test", call, 200},
		{access.Invoke, "POST", "/integrations/tools/endpoints/echo/invoke", call, 200},
	} {
		before := s.head()
		r := request{method: row.method, path: row.path, body: row.body, key: s.issue("acme", row.needs)}
		refused := s.send(r).is(403, "forbidden")
		require.Contains(t, refused.at("detail"), "Integration.exec")
		require.Equal(t, before, s.head(), "%s %s", row.method, row.path)
		r.key = s.issue("acme", access.Exec)
		s.send(r).is(403, "forbidden")
		r.key = s.issue("acme", row.needs, access.Exec)
		s.send(r).is(row.status)
	}

	// These start no process and need no more than before: reading, leaving stdio, deleting.
	viewer, updater := s.issue("acme", access.View), s.issue("acme", access.Update)
	s.send(request{method: "GET", path: "/integrations/tools", key: viewer}).is(200)
	s.send(request{method: "PUT", path: "/integrations/more", key: updater, body: members{"mcp_transport": "http", "mcp_url": "https://mcp.example.com/mcp"}}).is(200)
	s.send(request{method: "DELETE", path: "/integrations/crm", key: s.issue("acme", access.Delete)}).is(204)

	// A key can't grant a permission that it lacks.
	s.send(request{method: "POST", path: "/api-keys", key: s.issue("acme", access.ManageKeys), body: members{"name": "n", "permissions": []string{"Integration.exec"}}}).is(403)
	s.post("/api-keys", members{"name": "n", "permissions": []string{"Integration.exec"}}).is(201)
}

func TestATooledAgentMayNotStartAProcessWithoutThePermission(t *testing.T) {
	t.Parallel()
	s := serve(t, startingPrograms(t))
	s.create(program("tools"))
	session, err := s.mcp(t, s.issue("acme", access.Invoke))
	require.NoError(t, err)
	_, err = session.CallTool(t.Context(), &sdk.CallToolParams{Name: "tools__echo", Arguments: members{"message": "hi"}})
	require.ErrorContains(t, err, "Integration.exec")
}

func TestAHealthCheckStartsNoProcessWithoutThePermission(t *testing.T) {
	t.Parallel()
	s := serve(t, startingPrograms(t))
	s.create(program("tools"))
	check := func(may ...access.Permission) string {
		return s.send(request{method: "GET", path: "/integrations/health-check?max_age_ms=0", key: s.issue("acme", may...)}).is(200).results()["tools"]
	}
	require.Equal(t, "unknown", check(access.View))
	require.Nil(t, s.get("/integrations/tools").at("last_test_status"), "it was probed")
	require.Equal(t, "healthy", check(access.View, access.Exec))
	require.Equal(t, "healthy", check(access.View), "the last probe is shown")
	s.put("/integrations/tools", members{"display_name": "Other"}).is(200)
	require.Equal(t, "unknown", check(access.View), "the last probe is of an earlier configuration")
}
