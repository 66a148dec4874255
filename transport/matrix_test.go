package transport_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
)

func TestEveryRouteAsksForAKeyWithItsPermissionInItsWorkspace(t *testing.T) {
	t.Parallel()
	u := listen(t, nil)
	s := serve(t, proven)
	s.signed("integrations", 0)
	expired, text, err := s.stores.keys.Issue(t.Context(), access.Key{
		Workspace: "acme", Name: "expired", Permissions: []access.Permission{access.Admin}, ExpiresAt: time.Now().Add(-time.Second),
	})
	require.NoError(t, err)
	require.NotEmpty(t, expired.ID)
	revoked, revokedText, err := s.stores.keys.Issue(t.Context(), access.Key{Workspace: "acme", Name: "revoked", Permissions: []access.Permission{access.Admin}})
	require.NoError(t, err)
	require.NoError(t, s.stores.keys.Revoke(t.Context(), "acme", revoked.ID))

	set := s.publicKeySet()
	for _, o := range operations(t) {
		if o.path == "/v1/auth/me" || strings.HasPrefix(o.path, "/transparency") { // open to every key
			path := strings.NewReplacer("{tree}", "integrations", "{level}", "0", "{index}", "000").Replace(o.path)
			s.send(request{method: o.method, path: path, key: "none", wrong: true}).is(401)
			s.send(request{method: o.method, path: path, key: text}).is(401)
			continue
		}
		if o.path == "/v1/workspaces" { // of the operator
			for key, want := range map[string]int{"none": 401, text: 401, s.key: 403, s.issue("", access.Invoke): 403, s.issue("", access.View): 200} {
				s.send(request{method: o.method, path: o.path, key: key, wrong: want == 401}).is(want)
			}
			continue
		}
		if o.permission == "" { // open to all
			wanted := []int{http.StatusOK, http.StatusSeeOther}
			if strings.HasPrefix(o.path, "/oauth/") || strings.HasPrefix(o.path, "/.well-known/") { // a link that is not valid is no matter of keys, nor is an issuer that there is not
				wanted = []int{http.StatusNotFound}
			}
			for _, key := range []string{"none", "garbage", s.key} {
				open := s.send(request{method: o.method, path: strings.NewReplacer("{file}", "swagger-ui.css", "{key_set_id}", set, "{workspace_id}", "acme", "{id}", "crm").Replace(o.path), key: key})
				require.Contains(t, wanted, open.status, "%s: %s", o.path, open.text)
			}
			continue
		}
		needs := access.Permission(o.permission)
		var others []access.Permission
		for _, p := range access.Permissions() {
			if p != needs && p != access.Admin {
				others = append(others, p)
			}
		}
		for who, row := range map[string]struct {
			key     string
			refused int
		}{
			"no key":                          {"none", 401},
			"garbage":                         {"garbage", 401},
			"a key with another checksum":     {s.key[:len(s.key)-1] + "x", 401},
			"an expired key":                  {text, 401},
			"a revoked key":                   {revokedText, 401},
			"a key of another workspace":      {s.issue("other", access.Admin), 403},
			"a key with all other":            {s.issue("acme", others...), 403},
			"a key with just that permission": {s.issue("acme", needs), 0},
			"an admin of the workspace":       {s.key, 0},
			"the operator":                    {s.issue("", access.Admin), 0},
		} {
			r, want := s.prepared(t, o, u.url)
			r.key = row.key
			r.wrong = row.refused == 401
			if row.refused != 0 {
				want = row.refused
			}
			got := s.send(r)
			require.Equal(t, want, got.status, "%s, %s %s: %s", who, o.method, o.path, got.text)
			if row.refused == 401 {
				require.Equal(t, `Bearer realm="integrations"`, got.header.Get("WWW-Authenticate"))
				require.Equal(t, "unauthenticated", got.json["code"])
			}
			if row.refused == 403 {
				require.Equal(t, "forbidden", got.json["code"])
			}
		}
	}
}

// prepared returns a request for an operation that is valid except for its key, and its
// expected status.
func (s *service) prepared(t *testing.T, o operation, base string) (request, int) {
	t.Helper()
	s.send(request{method: "DELETE", path: "/integrations/fresh"})
	if s.get("/integrations/crm").status == 404 {
		s.create(rest("crm", base, members{"endpoints": []any{endpoint("list")}}))
	}
	key, _, err := s.stores.keys.Issue(t.Context(), access.Key{Workspace: "acme", Name: "subject", Permissions: []access.Permission{access.ManageKeys}})
	require.NoError(t, err)
	for _, d := range s.hooks.List("acme") { // so that the limit is never reached
		require.NoError(t, s.hooks.Delete(t.Context(), "acme", d.ID))
	}
	d, _, err := s.hooks.Create(t.Context(), "acme", domain.Document{"url": base})
	require.NoError(t, err)
	r := request{method: o.method, path: strings.NewReplacer("{destination_id}", d.ID, "{delivery_id}", "msg_c0", "{workspace_id}", "acme", "{id}", "crm", "{endpoint_name}", "list", "{key_id}", key.ID, "{approval_id}", "none", "{call_position}", "1", "{position}", "999999", "{log}", "integrations").Replace(o.path)}
	status := 200
	switch route := o.method + " " + strings.TrimPrefix(o.path, "/v1/{workspace_id}"); route {
	case "POST /integrations":
		r.body, status = rest("fresh", base), 201
	case "PUT /integrations/{id}":
		r.body = members{"display_name": "Other"}
	case "DELETE /integrations/{id}", "DELETE /api-keys/{key_id}", "DELETE /webhook-destinations/{destination_id}":
		status = 204
	case "POST /integrations/reshape":
		r.body = members{"response": members{"a": 1}, "result_key": "a"}
	case "GET /activity":
		r.path += "?integration_id=crm"
	case "POST /integrations/test-connection":
		r.body = members{"base_url": base}
	case "POST /integrations/discover":
		r.body = members{"integration": members{"base_url": base}, "openapi": members{"openapi": "3.1.0", "paths": members{"/a": members{"get": members{}}}}}
	case "POST /integrations/{id}/restore":
		r.body = members{"version": 1}
	case "POST /integrations/{id}/discover":
		r.body = members{"openapi": members{"openapi": "3.1.0", "paths": members{"/a": members{"get": members{}}}}}
	case "POST /webhook-destinations/{destination_id}/verify":
		r.body = members{"id": "msg_1", "timestamp": "1", "signature": "v1,x", "body": "{}"}
	case "POST /webhook-destinations":
		r.body, status = members{"url": base}, 201
	case "PUT /webhook-destinations/{destination_id}":
		r.body = members{"description": "Other"}
	case "POST /webhook-destinations/{destination_id}/deliveries/{delivery_id}/redeliver":
		status = 404 // there is none yet
	case "GET /integrations/{id}/jwks":
		status = 404 // it has no private key
	case "POST /integrations/{id}/authorizations/import":
		r.body, status = members{"subject": "amy", "refresh_token": "rt"}, 409 // as below
	case "POST /integrations/{id}/authorizations", "GET /integrations/{id}/authorizations", "GET /integrations/{id}/authorizations/{subject}", "DELETE /integrations/{id}/authorizations/{subject}",
		"PUT /integrations/{id}/authorizations/{subject}", "POST /integrations/{id}/authorizations/{subject}/confirm":
		r.path = strings.Replace(r.path, "{subject}", "amy", 1)
		status = 409 // nobody needs to sign in to it
		switch {
		case strings.HasSuffix(r.path, "/confirm"):
			r.body = members{"code": "x"}
		case o.method == "POST":
			r.body = members{"subject": "amy"}
		case o.method == "PUT":
			r.body = members{"account": members{"site": "x"}}
		}
	case "POST /integrations/{id}/signing-keys/rotate":
		status = 409 // it has no generated key
	case "POST /integration-tools/resolve":
		r.body = members{"integration_tools": []any{members{"integration": "crm", "endpoint": "list"}}}
	case "POST /mcp", "POST /mcp/{id}":
		r.body = members{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": members{}}
		r.header = map[string]string{"Accept": "application/json, text/event-stream"}
	case "GET /mcp", "GET /mcp/{id}":
		r.header = map[string]string{"Accept": "text/event-stream"}
	case "GET /approvals/{approval_id}", "POST /approvals/{approval_id}/approve", "GET /integrations/{id}/calls/{call_position}/bodies",
		"GET /integrations/events/{position}/proof", "GET /integrations/calls/{position}/proof":
		status = 404 // there is none
	case "POST /approvals/{approval_id}/deny":
		r.body, status = members{"reason": "no"}, 404
	case "POST /api-keys":
		r.body, status = members{"name": "n", "permissions": []string{"ApiKey.manage"}}, 201
	}
	return r, status
}

func TestAnIntegrationOfAnotherWorkspaceIsNotFound(t *testing.T) {
	t.Parallel()
	s := serve(t)
	id := s.create(rest("crm", "https://a.example", members{"endpoints": []any{endpoint("list")}}))
	outsider := s.issue("other", access.Admin)
	for _, o := range operations(t) {
		if !strings.Contains(o.path, "{id}") || o.permission == "" {
			continue
		}
		ask := func(id string) reply {
			r, _ := s.prepared(t, o, "https://a.example")
			r.path = strings.NewReplacer("{workspace_id}", "other", "{id}", id, "{endpoint_name}", "list", "{subject}", "amy", "{call_position}", "1").Replace(o.path)
			r.key = outsider
			return s.send(r).is(404, "integration_not_found")
		}
		theirs, unknown := ask(id), ask("00000000-0000-5000-8000-000000000000")
		delete(theirs.json, "request_id")
		delete(unknown.json, "request_id")
		require.Equal(t, unknown.json, theirs.json, "%s %s", o.method, o.path)
		for _, h := range []string{"X-Request-Id", "Date"} {
			theirs.header.Del(h)
			unknown.header.Del(h)
		}
		require.Equal(t, unknown.header, theirs.header, "%s %s", o.method, o.path)
	}
	s.get("/integrations/" + id).is(200)
}
