package transport_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access/oidcauth"
	"github.com/seed677028b5/integrations/internal/peers"
	"github.com/seed677028b5/integrations/transport"
)

// scopes of the issuer of tests.
var issuerScopes = []string{"integrations:invoke", "integrations:view"}

// issuer is oidc-provider, as the service of a test uses it.
type issuer struct {
	t    *testing.T
	url  string
	file string // with the grants
}

// startIssuer starts oidc-provider, whose tokens for urn:integrations are for the service.
// Further options are those of issuer.mjs.
func startIssuer(t *testing.T, groups map[string][]string, resources map[string]string) *issuer {
	t.Helper()
	clients := []members{}
	for name := range groups {
		clients = append(clients, members{
			"client_id": name, "client_secret": "secret-of-the-client", "grant_types": []string{"client_credentials"}, "response_types": []string{}, "redirect_uris": []string{},
			"token_endpoint_auth_method": "client_secret_basic",
		})
	}
	all := map[string]string{"urn:integrations": "integrations"}
	for resource, audience := range resources {
		all[resource] = audience
	}
	return &issuer{
		t: t, url: peers.Start(t, "issuer.mjs", members{"clients": clients, "groups": groups, "scopes": issuerScopes, "resources": all}),
		file: filepath.Join(t.TempDir(), "grants.yaml"),
	}
}

// token returns an access token of a client for a resource.
func (i *issuer) token(client, resource string) string {
	i.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {resource}, "scope": {strings.Join(issuerScopes, " ")}}
	req, err := http.NewRequestWithContext(i.t.Context(), http.MethodPost, i.url+"/token", strings.NewReader(form.Encode()))
	require.NoError(i.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(client, "secret-of-the-client")
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(i.t, err)
	defer func() { require.NoError(i.t, resp.Body.Close()) }()
	var got struct {
		Token string `json:"access_token"`
		Error string `json:"error_description"`
	}
	require.NoError(i.t, json.NewDecoder(resp.Body).Decode(&got))
	require.NotEmpty(i.t, got.Token, got.Error)
	return got.Token
}

// grant writes the grants of the service.
func (i *issuer) grant(grants string) {
	i.t.Helper()
	require.NoError(i.t, os.WriteFile(i.file, []byte("issuer: "+i.url+"\naudience: integrations\n"+grants), 0o600))
}

// trust makes the service of a test accept the tokens of the issuer.
func (i *issuer) trust(now func() time.Time) func(*settings) {
	return func(set *settings) {
		before := set.adjust
		set.adjust = func(api *transport.Server) {
			if before != nil {
				before(api)
			}
			var err error
			api.Tokens, err = oidcauth.Open(oidcauth.Config{File: i.file, PublicURL: api.Commands.PublicURL, Send: http.DefaultTransport.RoundTrip, Now: now, Log: api.Log})
			require.NoError(i.t, err)
		}
	}
}

const teams = `
grants:
  - when: {groups: platform-admins}
    workspaces: ["*"]
    permissions: [Workspace.admin]
    key_days: 30
  - when: {groups: "team-*", scope: "integrations:invoke"}
    workspaces: ["{1}"]
    permissions: [Integration.view, Integration.invoke, ApiKey.manage]
    tools: ["clinic__list_*"]
`

func TestATokenIsTakenWhereverAnAPIKeyIs(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	t.Parallel()
	login := startIssuer(t, map[string][]string{"robot": {"team-acme", "team-beta"}, "admin": {"platform-admins"}, "guest": {"guests"}}, nil)
	login.grant(teams)
	var ahead atomic.Int64 // the clock of the service, so that its pause between two fetches of keys passes
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	s := serve(t, login.trust(now))
	u := s.slots(t, "clinic")
	robot, admin, guest := login.token("robot", "urn:integrations"), login.token("admin", "urn:integrations"), login.token("guest", "urn:integrations")

	me := s.send(request{method: "GET", path: "/v1/auth/me", key: robot}).is(200)
	require.Equal(t, "token", me.at("type"))
	require.Equal(t, "oidc:robot", me.at("id"))
	require.Equal(t, "robot", me.at("subject"))
	require.Equal(t, login.url, me.at("issuer"))
	require.Equal(t, []any{"acme", "beta"}, me.at("workspaces"))
	require.Equal(t, []any{"Integration.view", "Integration.invoke", "ApiKey.manage"}, me.at("permissions"))
	require.Equal(t, []any{"clinic__list_*"}, me.at("tools"))
	require.NotNil(t, me.at("expires_at"))
	require.Nil(t, s.send(request{method: "GET", path: "/v1/auth/me", key: admin}).is(200).at("workspaces"))
	s.send(request{method: "GET", path: "/v1/workspaces", key: robot}).is(403, "forbidden")
	s.send(request{method: "GET", path: "/v1/workspaces", key: admin}).is(200)

	s.send(request{method: "POST", path: "/integrations/clinic/endpoints/list_slots/invoke", body: members{"params": members{"day": "mon"}}, key: robot}).is(200)
	require.Len(t, u.requests(), 1)
	require.Equal(t, "oidc:robot", s.get("/integrations/calls?key=oidc:robot").is(200).at("items", 0, "key"))
	s.send(request{method: "GET", path: "/v1/beta/integrations", key: robot}).is(200)
	require.Contains(t, s.send(request{method: "GET", path: "/v1/other/integrations", key: robot}).is(403, "forbidden").text, "this token lacks")
	s.send(request{method: "POST", path: "/integrations", body: rest("mine", u.url), key: robot}).is(403, "forbidden")
	refused := s.send(request{method: "GET", path: "/integrations", key: guest}).is(403, "no_grant")
	require.Contains(t, refused.text, `\"groups\"`)
	require.NotContains(t, refused.text, "guests")
	tools, err := s.mcpAt(t, "/v1/acme/mcp", robot)
	require.NoError(t, err)
	names, _ := listedTools(t, tools)
	require.Equal(t, []string{"clinic__list_slots"}, names)
	require.NoError(t, tools.Close())

	s.send(request{method: "POST", path: "/integrations", body: rest("ehr", u.url), key: admin}).is(201)
	require.Equal(t, "oidc:admin", s.get("/integrations/ehr/history").is(200).at("items", 0, "actor"))
	s.send(request{method: "GET", path: "/integrations/ehr", key: robot}).is(404, "integration_not_found")

	issue := func(by string, days int, more ...members) reply {
		body := members{"name": "k", "permissions": []string{"Integration.invoke"}, "duration_days": days}
		for _, m := range more {
			for name, value := range m {
				body[name] = value
			}
		}
		return s.send(request{method: "POST", path: "/api-keys", body: body, key: by})
	}
	require.Equal(t, "oidc:admin", issue(admin, 29).is(201).at("created_by"))
	issue(admin, 31).is(403, "forbidden")
	require.Contains(t, issue(robot, 1, members{"tools": []string{"clinic__list_*"}}).is(403, "forbidden").text, "this token can't issue a key that is valid beyond")

	challenge := s.send(request{method: "GET", path: "/integrations", key: robot + "x"}).is(401, "token_invalid").header.Get("WWW-Authenticate")
	require.Equal(t, `Bearer realm="integrations", error="invalid_token", error_description="the signature of the token is not valid"`, challenge)
	require.NotContains(t, s.log.String(), robot)

	// The issuer signs with another key from now on.
	resp, err := http.Post(login.url+"/rotate", "", nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	fresh := login.token("robot", "urn:integrations")
	ahead.Store(int64(10 * time.Second))
	s.send(request{method: "GET", path: "/integrations", key: fresh}).is(200)
	s.send(request{method: "GET", path: "/integrations", key: robot}).is(401, "token_invalid")
}

func TestWhoListensIsDisconnectedWhenTheGrantIsGone(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	t.Parallel()
	login := startIssuer(t, map[string][]string{"robot": {"team-acme"}}, nil)
	login.grant(teams)
	s := serve(t, login.trust(time.Now))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/v1/acme/integrations/events/stream", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+login.token("robot", "urn:integrations"))
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	lines := bufio.NewScanner(resp.Body)
	require.True(t, lines.Scan(), "the stream has begun")

	login.grant(strings.ReplaceAll(teams, "team-", "squad-"))
	s.api.Tokens.Reload(t.Context())
	for lines.Scan() { // until the service ends it
	}
	require.NoError(t, lines.Err())
}

func TestTheSubjectsOfTokensHaveTheirOwnLimits(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	t.Parallel()
	login := startIssuer(t, map[string][]string{"robot": {"team-acme"}, "other": {"team-acme"}}, nil)
	login.grant(teams)
	s := serve(t, func(set *settings) {
		set.adjust = func(api *transport.Server) { api.Limits = transport.Limits{Read: 0.001} }
	}, login.trust(time.Now))
	get := func(key string) int { return s.send(request{method: "GET", path: "/integrations", key: key}).status }
	first, second := login.token("robot", "urn:integrations"), login.token("robot", "urn:integrations")
	require.Equal(t, []int{200, 429, 200}, []int{get(first), get(second), get(login.token("other", "urn:integrations"))})
}
