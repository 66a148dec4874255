package transport_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/peers"
)

// signedIn is what mcp_sign_in.mjs saw.
type signedIn struct {
	Refused  string   `json:"refused"`
	Resource string   `json:"resource"`
	Scope    string   `json:"scope"`
	Tools    []string `json:"tools"`
	Text     string   `json:"text"`
	IsError  bool     `json:"is_error"`
}

func TestAClientThatKnowsOnlyTheURLOfAWorkspaceSignsInAndCallsATool(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	resources := map[string]string{}
	var login *issuer
	s := serve(t)
	for _, path := range []string{"/v1/acme/mcp", "/v1/acme/mcp/clinic"} {
		resources[s.url+path] = s.url + path
	}
	login = startIssuer(t, map[string][]string{"amy": {"team-acme"}}, resources)
	login.grant(teams)
	set := &settings{}
	login.trust(time.Now)(set)
	set.adjust(s.api)
	s.slots(t, "clinic")
	s.slots(t, "crm")

	for mode, path := range map[string]string{"auto": "/v1/acme/mcp", "legacy": "/v1/acme/mcp/clinic", "v1": "/v1/acme/mcp"} {
		var got signedIn
		peers.RunNode(t, "mcp_sign_in.mjs", members{"url": s.url + path, "mode": mode, "name": "amy", "tool": "clinic__list_slots", "arguments": members{"day": "mon"}}, &got)
		require.Equal(t, signedIn{
			Refused: "UnauthorizedError", Resource: s.url + path, Scope: "integrations:invoke", Tools: []string{"clinic__list_slots"}, Text: `{"slots":["9:00","Bearer [secret]"]}`,
		}, got, mode)
	}
	calls := s.get("/integrations/calls?key=oidc:amy").is(200)
	require.Len(t, calls.at("items"), 3)
}

func TestAClientWithoutATokenIsLedToTheIssuer(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	t.Parallel()
	login := startIssuer(t, map[string][]string{"robot": {"team-acme"}}, map[string]string{"urn:none": "none"})
	login.grant(teams)
	s := serve(t, login.trust(time.Now))
	list := members{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": members{}}
	mcp := func(path, key string) reply {
		return s.send(request{method: "POST", path: path, key: key, wrong: key == "none", body: list, header: map[string]string{"Accept": "application/json, text/event-stream"}})
	}
	for _, path := range []string{"/v1/acme/mcp", "/v1/acme/mcp/clinic"} {
		at := "/.well-known/oauth-protected-resource" + path
		require.Equal(t, `Bearer realm="integrations", scope="integrations:invoke", resource_metadata="`+s.url+at+`"`, mcp(path, "none").is(401).header.Get("WWW-Authenticate"))
		document := s.send(request{method: "GET", path: at, key: "none"}).is(200)
		require.Equal(t, map[string]any{
			"resource": s.url + path, "resource_name": "Integrations: acme", "authorization_servers": []any{login.url}, "scopes_supported": []any{"integrations:invoke"},
			"bearer_methods_supported": []any{"header"}, "resource_documentation": s.url + "/docs",
		}, document.json)
	}
	require.Equal(t, `Bearer realm="integrations"`, s.send(request{method: "GET", path: "/integrations", key: "none", wrong: true}).is(401).header.Get("WWW-Authenticate"), "no MCP server")
	s.send(request{method: "GET", path: "/.well-known/oauth-protected-resource/v1/a.b/mcp", key: "none", wrong: true}).is(422)
	s.send(request{method: "GET", path: "/.well-known/oauth-protected-resource/v1/acme/integrations", key: "none", wrong: true}).is(404)
	require.Contains(t, mcp("/v1/acme/mcp", login.token("robot", "urn:none")).is(401, "token_invalid").header.Get("WWW-Authenticate"),
		`error="invalid_token", error_description="the token is for another audience (aud)", scope="integrations:invoke", resource_metadata="`)

	plain := serve(t)
	require.Equal(t, `Bearer realm="integrations"`, plain.send(request{method: "POST", path: "/v1/acme/mcp", key: "none", wrong: true, body: list}).is(401).header.Get("WWW-Authenticate"))
	require.Contains(t, plain.send(request{method: "GET", path: "/.well-known/oauth-protected-resource/v1/acme/mcp", key: "none"}).is(404, "no_authorization_server").text, "--oidc-grants")
}

func TestATokenThatLacksAScopeIsAskedForIt(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	t.Parallel()
	login := startIssuer(t, map[string][]string{"robot": {"team-acme"}}, nil)
	login.grant(`
grants:
  - when: {scope: "integrations:edit"}
    workspaces: [acme]
    permissions: [Integration.create]
  - when: {scope: "integrations:view"}
    workspaces: [acme]
    permissions: [Integration.view]
`)
	s := serve(t, login.trust(time.Now))
	robot := login.token("robot", "urn:integrations")
	s.send(request{method: "GET", path: "/integrations", key: robot}).is(200)
	create := request{method: "POST", path: "/integrations", key: robot, body: rest("crm", "https://crm.example.com")}
	require.Equal(t, `Bearer realm="integrations", error="insufficient_scope", scope="integrations:invoke integrations:view integrations:edit"`,
		s.send(create).is(403, "forbidden").header.Get("WWW-Authenticate"))
	create = request{method: "DELETE", path: "/integrations/crm", key: robot}
	require.Empty(t, s.send(create).is(403, "forbidden").header.Get("WWW-Authenticate"), "no scope would help")
}
