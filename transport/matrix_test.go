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
	s := serve(t)
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
		if o.path == "/v1/auth/me" { // open to every key
			s.send(request{method: o.method, path: o.path, key: "none", wrong: true}).is(401)
			s.send(request{method: o.method, path: o.path, key: text}).is(401)
			continue
		}
		if o.permission == "" { // open to all
			wanted := []int{http.StatusOK, http.StatusSeeOther}
			if strings.HasPrefix(o.path, "/oauth/") { // a link that is not valid is no matter of keys
				wanted = []int{http.StatusNotFound}
			}
			for _, key := range []string{"none", "garbage", s.key} {
				open := s.send(request{method: o.method, path: strings.NewReplacer("{file}", "swagger-ui.css", "{key_set_id}", set).Replace(o.path), key: key})
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
	r := request{method: o.method, path: strings.NewReplacer("{destination_id}", d.ID, "{delivery_id}", "msg_c0", "{workspace_id}", "acme", "{id}", "crm", "{endpoint_name}", "list", "{key_id}", key.ID).Replace(o.path)}
	status := 200
	switch route := o.method + " " + strings.TrimPrefix(o.path, "/v1/{workspace_id}"); route {
	case "POST /integrations":
		r.body, status = rest("fresh", base), 201
	case "PUT /integrations/{id}":
		r.body = members{"display_name": "Other"}
	case "DELETE /integrations/{id}", "DELETE /api-keys/{key_id}", "DELETE /webhook-destinations/{destination_id}":
		status = 204
	case "POST /integrations/test-connection":
		r.body = members{"base_url": base}
	case "POST /integrations/{id}/restore":
		r.body = members{"version": 1}
	case "POST /integrations/{id}/discover":
		r.body = members{"openapi": members{"openapi": "3.1.0", "paths": members{"/a": members{"get": members{}}}}}
	case "POST /webhook-destinations":
		r.body, status = members{"url": base}, 201
	case "PUT /webhook-destinations/{destination_id}":
		r.body = members{"description": "Other"}
	case "POST /webhook-destinations/{destination_id}/deliveries/{delivery_id}/redeliver":
		status = 404 // there is none yet
	case "GET /integrations/{id}/jwks":
		status = 404 // it has no private key
	case "POST /integrations/{id}/authorizations", "GET /integrations/{id}/authorizations", "GET /integrations/{id}/authorizations/{subject}", "DELETE /integrations/{id}/authorizations/{subject}":
		r.path = strings.Replace(r.path, "{subject}", "amy", 1)
		status = 409 // nobody needs to sign in to it
		if o.method == "POST" {
			r.body = members{"subject": "amy"}
		}
	case "POST /integrations/{id}/signing-keys/rotate":
		status = 409 // it has no generated key
	case "POST /integration-tools/resolve":
		r.body = members{"integration_tools": []any{members{"integration": "crm", "endpoint": "list"}}}
	case "POST /mcp", "POST /mcp/{id}":
		r.body = members{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": members{}}
		r.header = map[string]string{"Accept": "application/json, text/event-stream"}
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
		if !strings.Contains(o.path, "{id}") {
			continue
		}
		ask := func(id string) reply {
			r, _ := s.prepared(t, o, "https://a.example")
			r.path = strings.NewReplacer("{workspace_id}", "other", "{id}", id, "{endpoint_name}", "list", "{subject}", "amy").Replace(o.path)
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
