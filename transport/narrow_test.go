package transport_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
)

// narrowed returns the text of a key that sees a scope.
func (s *service) narrowed(scope domain.Scope, may ...access.Permission) string {
	s.t.Helper()
	_, text, err := s.stores.keys.Issue(s.t.Context(), access.Key{Workspace: "acme", Name: "narrow", Permissions: may, Scope: scope, CreatedBy: "system"})
	require.NoError(s.t, err)
	return text
}

// mayNarrowly are the permissions that a key narrowed to integrations can have.
var mayNarrowly = []access.Permission{access.Authorize, access.View, access.Create, access.Update, access.Delete, access.Exec, access.Invoke, access.Decide, access.ReadBodies, access.ManageKeys}

// Every route of the description with an integration in its path is tried.
func TestAHiddenIntegrationAnswersAsOneThatIsNotThere(t *testing.T) {
	t.Parallel()
	u := listen(t, nil)
	s := serve(t)
	for who, key := range map[string]string{
		"integrations": s.narrowed(domain.Scope{Integrations: []string{"ehr*"}}, mayNarrowly...),
		"tools":        s.narrowed(domain.Scope{Tools: []string{"crm__get_*"}}, mayNarrowly...),
		"methods":      s.narrowed(domain.Scope{Methods: []string{"PATCH"}}, mayNarrowly...),
	} {
		for _, o := range operations(t) {
			if !strings.Contains(o.path, "{id}") || o.permission == "" {
				continue
			}
			ask := func(id string) reply {
				r, _ := s.prepared(t, o, u.url)
				r.path = strings.NewReplacer("{workspace_id}", "acme", "{id}", id, "{endpoint_name}", "list", "{subject}", "amy", "{call_position}", "1").Replace(o.path)
				r.key = key
				return s.send(r).is(404, "integration_not_found")
			}
			theirs, unknown, builtin := ask("crm"), ask("nothing"), ask("google-maps")
			for _, got := range []reply{theirs, unknown, builtin} {
				delete(got.json, "request_id")
			}
			require.Equal(t, unknown.json, theirs.json, "%s %s %s", who, o.method, o.path)
			require.Equal(t, unknown.json, builtin.json, "%s %s %s", who, o.method, o.path)
		}
	}
	require.Empty(t, u.requests())
}

// clinics are two integrations with endpoints to read and to write.
func (s *service) clinics(t *testing.T) *upstream {
	t.Helper()
	u := listen(t, nil)
	for _, name := range []string{"clinic", "lab"} {
		s.create(rest(name, u.url, members{"endpoints": []any{
			endpoint("get_slot", members{"method": "GET"}), endpoint("get_note", members{"method": "POST"}), endpoint("delete_slot", members{"method": "DELETE"}),
		}}))
	}
	return u
}

func TestAKeyNarrowedToToolsSeesAndCallsTheseOnly(t *testing.T) {
	t.Parallel()
	s := serve(t)
	u := s.clinics(t)
	key := s.narrowed(domain.Scope{Tools: []string{"clinic__get_*"}, Methods: []string{"GET"}}, access.View, access.Invoke)
	as := func(method, path string, body any) reply {
		return s.send(request{method: method, path: path, body: body, key: key})
	}
	endpoints := "/integrations/clinic/endpoints/"
	for _, name := range []string{"get_slot", "get_note", "delete_slot"} {
		s.post(endpoints+name+"/test", nil).is(200)
		s.post("/integrations/lab/endpoints/"+name+"/test", nil).is(200)
	}
	sent := len(u.requests())

	list := as("GET", "/integrations", nil).is(200)
	require.InDelta(t, 1, list.at("total"), 0)
	require.Equal(t, "clinic", list.at("items", 0, "name"))
	require.Len(t, list.at("items", 0, "endpoints"), 1)
	require.Empty(t, as("GET", "/integrations?search=lab", nil).is(200).at("items"))
	for _, got := range []reply{as("GET", "/integrations/clinic", nil), as("GET", "/integrations/clinic?as_of=1", nil)} {
		require.Equal(t, "get_slot", got.is(200).at("endpoints", 0, "name"))
		require.Len(t, got.at("endpoints"), 1)
	}

	unknown := as("POST", endpoints+"nothing/invoke", nil).is(404, "endpoint_not_found")
	for _, hidden := range []string{"get_note", "delete_slot"} {
		for _, route := range []string{"/invoke", "/test"} {
			got := as("POST", endpoints+hidden+route, nil).is(404, "endpoint_not_found")
			require.Equal(t, unknown.json["detail"], got.json["detail"])
		}
	}
	require.Len(t, u.requests(), sent, "nothing hidden was called")
	as("POST", endpoints+"get_slot/invoke", nil).is(200)
	as("POST", endpoints+"get_slot/test", nil).is(200)

	tools := as("GET", "/integration-tools?format=mcp", nil).is(200)
	require.Len(t, tools.at("tools"), 1)
	require.Equal(t, "clinic__get_slot", tools.at("tools", 0, "name"))
	resolved := as("POST", "/integration-tools/resolve", members{"integration_tools": []any{
		members{"integration": "clinic", "endpoint": "get_slot"},
		members{"integration": "clinic", "endpoint": "delete_slot"},
		members{"integration": "lab", "endpoint": "get_slot"},
	}}).is(200)
	require.Len(t, resolved.at("tools"), 1)
	require.Equal(t, "endpoint_not_found", resolved.at("unresolved", 0, "code"))
	require.Equal(t, "integration_not_found", resolved.at("unresolved", 1, "code"))

	health := as("GET", "/integrations/health-check", nil).is(200)
	require.InDelta(t, 1, health.at("total"), 0)
	as("GET", "/integrations/clinic/usage", nil).is(403, "forbidden")
	as("POST", "/integrations/test-connection", members{"base_url": u.url}).is(403, "forbidden")
	as("POST", "/integrations/test-connection", members{"id": "clinic"}).is(200)
	as("POST", "/integrations/test-connection", members{"id": "lab"}).is(404)
	offers := as("POST", "/integrations/clinic/discover", members{"openapi": members{"openapi": "3.1.0", "paths": members{
		"/a": members{"get": members{"operationId": "get_slot"}, "delete": members{"operationId": "get_gone"}}, "/b": members{"get": members{"operationId": "list"}},
	}}}).is(200)
	require.Len(t, offers.at("endpoints"), 1)
}

func TestAnAgentSeesAndCallsTheToolsOfItsKeyOnly(t *testing.T) {
	t.Parallel()
	s := serve(t)
	u := s.clinics(t)
	session, err := s.mcp(t, s.narrowed(domain.Scope{Tools: []string{"clinic__get_slot"}}, access.Invoke))
	require.NoError(t, err)
	defer func() { _ = session.Close() }()
	list, err := session.ListTools(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, list.Tools, 1)
	require.Equal(t, "clinic__get_slot", list.Tools[0].Name)
	_, unknown := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "clinic__nothing"})
	require.Error(t, unknown)
	_, hidden := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "clinic__delete_slot"})
	require.EqualError(t, hidden, unknown.Error())
	require.Empty(t, u.requests())
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "clinic__get_slot"})
	require.NoError(t, err)
	require.False(t, result.IsError)
}

func TestHistoryAndCallsShowANarrowedKeyWhatItSees(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.clinics(t)
	key := s.narrowed(domain.Scope{Tools: []string{"clinic__get_*"}}, access.View)
	as := func(path string) reply { return s.send(request{method: "GET", path: path, key: key}).is(200) }
	for _, name := range []string{"get_slot", "delete_slot"} {
		s.post("/integrations/clinic/endpoints/"+name+"/test", nil).is(200)
		s.post("/integrations/lab/endpoints/"+name+"/test", nil).is(200)
	}
	s.put("/integrations/clinic", members{"display_name": "Other", "endpoints": []any{
		endpoint("get_slot", members{"method": "GET"}), endpoint("delete_everything", members{"method": "DELETE"}),
	}}).is(200)
	s.put("/integrations/lab", members{"enabled": false}).is(200)

	for _, path := range []string{"/integrations/calls", "/integrations/clinic/calls"} {
		got := as(path)
		require.Len(t, got.at("items"), 1)
		require.Equal(t, "get_slot", got.at("items", 0, "endpoint"))
	}
	events := as("/integrations/events")
	require.Len(t, events.at("items"), 2)
	require.Equal(t, []any{"/display_name", "/endpoints"}, events.at("items", 1, "changed"))
	history := as("/integrations/clinic/history")
	require.Contains(t, history.text, "get_slot")
	require.Contains(t, history.text, "/display_name")
	for _, all := range []string{events.text, history.text} {
		require.NotContains(t, all, "delete_")
		require.NotContains(t, all, "lab")
	}

	for path, want := range map[string][]string{
		"/v1/acme/integrations/events/stream": {"integration.created", "integration.updated"}, "/v1/acme/integrations/calls/stream": {"integration.invoked"},
	} {
		stream := s.listenTo(path, key, "0")
		for _, name := range want {
			got, data, ok := stream.next()
			require.True(t, ok)
			require.Equal(t, name, got)
			require.NotContains(t, data, "delete_")
			require.NotContains(t, data, "lab")
		}
		stream.end()
	}
	s.delete("/integrations/clinic").is(204)
	s.send(request{method: "GET", path: "/integrations/clinic/history", key: key}).is(404, "integration_not_found")
}

func TestAKeyNarrowedToIntegrationsManagesTheseOnly(t *testing.T) {
	t.Parallel()
	s := serve(t)
	u := listen(t, nil)
	s.create(rest("crm", u.url))
	for _, name := range []string{"ehr-1", "ehr-2", "ehr-3"} {
		s.create(rest(name, u.url))
	}
	key := s.narrowed(domain.Scope{Integrations: []string{"ehr-*"}}, mayNarrowly...)
	as := func(method, path string, body any) reply {
		return s.send(request{method: method, path: path, body: body, key: key})
	}
	as("POST", "/integrations", rest("ehr-4", u.url)).is(201)
	taken, free := as("POST", "/integrations", rest("crm", u.url)).is(403, "forbidden"), as("POST", "/integrations", rest("free", u.url)).is(403, "forbidden")
	require.Equal(t, free.json["detail"], taken.json["detail"])
	as("PUT", "/integrations/ehr-4", members{"display_name": "Four"}).is(200)
	as("POST", "/integrations/ehr-4/restore", members{"version": 1}).is(200)
	as("DELETE", "/integrations/ehr-4", nil).is(204)
	as("GET", "/integrations/ehr-4/history", nil).is(200)
	var names []any
	for token := ""; ; {
		page := as("GET", "/integrations?limit=2&sort_by=-name&continuation_token="+token, nil).is(200)
		require.InDelta(t, 3, page.at("total"), 0)
		for n := range page.at("items").([]any) {
			names = append(names, page.at("items", n, "name"))
		}
		if page.at("has_more") == false {
			break
		}
		token = page.at("continuation_token").(string)
	}
	require.Equal(t, []any{"ehr-3", "ehr-2", "ehr-1"}, names)
	as("POST", "/integrations/test-connection", members{"name": "ehr-9", "base_url": u.url}).is(200)
	as("GET", "/integrations/ehr-1/usage", nil).is(200)
	s.get("/integrations/crm").is(200)
}

func TestANarrowedKeyGrantsNoMoreThanItSees(t *testing.T) {
	t.Parallel()
	s := serve(t)
	made := s.post("/api-keys", members{"name": "m", "permissions": []string{"ApiKey.manage", "Integration.invoke"}, "tools": []string{"crm__get_*"}, "methods": []string{"GET"}}).is(201)
	require.Equal(t, []any{"crm__get_*"}, made.at("tools"))
	require.Nil(t, made.at("integrations"))
	as := func(key, method, path string, body any) reply {
		return s.send(request{method: method, path: path, body: body, key: key})
	}
	key := made.at("key").(string)
	give := members{"name": "n", "permissions": []string{"Integration.invoke"}, "tools": []string{"crm__get_a"}, "methods": []string{"GET"}}
	within := as(key, "POST", "/api-keys", give).is(201)
	for name, value := range map[string]any{"tools": []string{"crm__*"}, "methods": nil} {
		more := members{}
		for k, v := range give {
			more[k] = v
		}
		more[name] = value
		as(key, "POST", "/api-keys", more).is(403, "forbidden")
	}
	whole := s.post("/api-keys", members{"name": "w", "permissions": []string{"Integration.invoke"}}).is(201).at("id").(string)
	as(key, "POST", "/api-keys/"+whole+"/rotate", nil).is(403, "forbidden")
	as(key, "DELETE", "/api-keys/"+whole, nil).is(403, "forbidden")
	require.InDelta(t, 2, as(key, "GET", "/api-keys", nil).is(200).at("total"), 0)
	rotated := as(key, "POST", "/api-keys/"+within.at("id").(string)+"/rotate", nil).is(200)
	require.Equal(t, []any{"crm__get_a"}, rotated.at("tools"))
	require.Equal(t, []any{"GET"}, rotated.at("methods"))
	as(key, "DELETE", "/api-keys/"+within.at("id").(string), nil).is(204)

	for body, at := range map[string][]string{
		`{"name":"n","permissions":["Integration.view"],"tools":[]}`:                                      {"/tools"},
		`{"name":"n","permissions":["Integration.view"],"tools":"crm__a","methods":["get"]}`:              {"/tools", "/methods/0"},
		`{"name":"n","permissions":["Integration.view"],"tools":["crm"],"integrations":["a b"]}`:          {"/integrations/0", "/tools/0"},
		`{"name":"n","permissions":["Workspace.admin"],"integrations":["crm"]}`:                           {"/permissions"},
		`{"name":"n","permissions":["Webhook.manage"],"methods":["GET"]}`:                                 {"/permissions"},
		`{"name":"n","permissions":["Integration.view","Integration.update"],"tools":["crm__get_*"]}`:     {"/permissions"},
		`{"name":"n","permissions":["Integration.view","Integration.delete"],"methods":["GET","DELETE"]}`: {"/permissions"},
	} {
		require.ElementsMatch(t, at, s.send(request{method: http.MethodPost, path: "/api-keys", body: body, wrong: true}).is(422).pointers(), body)
	}
}

func TestNamesThatANarrowedKeyGuessesAreListedAsDenied(t *testing.T) {
	t.Parallel()
	s := serve(t, proven)
	s.clinics(t)
	narrow := s.narrowed(domain.Scope{Tools: []string{"clinic__get_slot"}}, access.View, access.Invoke)
	full := s.issue("acme", access.View, access.Invoke)
	as := func(key, method, path string, body any) reply {
		return s.send(request{method: method, path: path, body: body, key: key})
	}
	for _, key := range []string{full, narrow} { // a key that sees all guesses nothing
		as(key, "GET", "/integrations/nothing", nil).is(404, "integration_not_found")
		as(key, "POST", "/integrations/clinic/endpoints/nothing/invoke", nil).is(404, "endpoint_not_found")
		as(key, "GET", "/integrations/clinic?as_of=version:99", nil)
		as(key, "POST", "/integration-tools/resolve", members{"integration_tools": []any{members{"integration": "nothing", "endpoint": "get_slot"}}}).is(200)
	}
	as(narrow, "GET", "/integrations/lab", nil).is(404, "integration_not_found")
	as(narrow, "POST", "/integrations/clinic/endpoints/delete_slot/invoke", nil).is(404, "endpoint_not_found")
	as(narrow, "GET", "/integrations/clinic", nil).is(200)
	want := []string{
		"GET /v1/:workspace/integrations/:id integration_not_found 404",
		"POST /v1/:workspace/integration-tools/resolve integration_not_found 404",
		"POST /v1/:workspace/integrations/:id/endpoints/:name/invoke endpoint_not_found 404",
	}
	var found []string
	soon(t, func() bool {
		found = nil
		for _, one := range s.get("/access-events?type=access.denied&limit=200").is(200).at("items").([]any) {
			one := one.(members)
			require.Equal(t, "acme", one["workspace_id"])
			found = append(found, fmt.Sprint(one["route"], " ", one["code"], " ", one["status"]))
		}
		slices.Sort(found)
		found = slices.Compact(found) // the second of two that are alike may be in a record that is written later
		return len(found) >= len(want)
	})
	require.Equal(t, want, found)
}
