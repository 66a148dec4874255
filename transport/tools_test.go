package transport_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
)

// slots is an upstream with one endpoint to list slots.
func (s *service) slots(t *testing.T, name string, more ...members) *upstream {
	t.Helper()
	u := listen(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slots/never" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = w.Write([]byte(`{"slots": ["9:00", "` + r.Header.Get("Authorization") + `"]}`))
	})
	s.create(rest(name, u.url, append([]members{{"auth": members{"bearer_token_value": "t0ken-of-the-upstream"}, "endpoints": []any{endpoint("list_slots", members{
		"path":         "/slots/{day}",
		"input_schema": members{"type": "object", "properties": members{"day": members{"type": "string", "minLength": 3}}, "required": []string{"day"}},
	})}}}, more...)...))
	return u
}

func TestTheEndpointsOfEnabledIntegrationsAreTools(t *testing.T) {
	t.Parallel()
	s := serve(t, func(set *settings) {
		set.builtins.Keyed, set.builtins.SearchEngineID = []string{domain.GoogleSearch}, "engine"
	})
	s.slots(t, "clinic")
	s.slots(t, "closed", members{"enabled": false})
	schema := members{"type": "object", "properties": members{"day": members{"type": "string", "minLength": 3.0}}, "required": []any{"day"}}

	openai := s.get("/integration-tools").is(200)
	require.Equal(t, members{"type": "function", "function": members{
		"name": "clinic__list_slots", "description": "The clinic: Does list_slots", "parameters": schema,
	}}, openai.at("tools", 0))
	require.Equal(t, "google-search__search", openai.at("tools", 1, "function", "name"))
	require.Len(t, openai.at("tools"), 2, "disabled and unconfigured integrations can't be called")
	require.Equal(t, schema, s.get("/integration-tools?format=anthropic").is(200).at("tools", 0, "input_schema"))
	require.Equal(t, schema, s.get("/integration-tools?format=mcp").is(200).at("tools", 0, "inputSchema"))
	s.send(request{method: "GET", path: "/integration-tools?format=xml", wrong: true}).is(422, "enum")

	var names []any
	for token := ""; ; {
		page := s.get("/integration-tools?format=mcp&limit=1&continuation_token=" + token).is(200)
		for _, tool := range page.at("tools").([]any) {
			names = append(names, tool.(members)["name"])
		}
		if page.at("has_more") == false {
			break
		}
		token = page.at("continuation_token").(string)
	}
	require.Equal(t, []any{"clinic__list_slots", "google-search__search"}, names)
	s.get("/integration-tools?continuation_token=garbage").is(422, "token_mismatch")
}

func TestASkillsToolsAreResolved(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.slots(t, "clinic")
	s.slots(t, "closed", members{"enabled": false})
	id := s.get("/integrations/clinic").is(200).at("id")
	got := s.post("/integration-tools/resolve", members{"integration_tools": []any{
		members{"integration_id": id, "endpoint_name": "list_slots"},
		members{"integration": "clinic", "endpoint": "list_slots"},
		members{"integration": "clinic", "endpoint": "nothing"},
		members{"integration": "nothing", "endpoint": "list_slots"},
		members{"integration": "closed", "endpoint": "list_slots"},
	}}).is(200)
	require.Len(t, got.at("tools"), 2)
	require.Equal(t, got.at("tools", 0), got.at("tools", 1))
	require.Equal(t, id, got.at("tools", 0, "integration_id"))
	for n, code := range []string{"endpoint_not_found", "integration_not_found", "integration_disabled"} {
		require.Equal(t, code, got.at("unresolved", n, "code"))
	}
	require.Equal(t, "/integration_tools/2", got.at("unresolved", 0, "pointer"))

	wrong := s.send(request{method: "POST", path: "/integration-tools/resolve", wrong: true, body: members{"q/r": 1, "integration_tools": []any{7, members{"x~/y": 1}}}}).is(422)
	require.ElementsMatch(t, []string{"/q~1r", "/integration_tools/0", "/integration_tools/1/x~0~1y", "/integration_tools/1/integration_id", "/integration_tools/1/endpoint_name"}, wrong.pointers())
	s.send(request{method: "POST", path: "/integration-tools/resolve", wrong: true, body: members{}}).is(422, "type")
}

func TestAnInvocationAndATestAreRecordedAndADryRunIsNot(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.slots(t, "clinic")
	key := s.issue("acme", access.Invoke)
	invoke := func(body any) reply {
		return s.send(request{method: "POST", path: "/integrations/clinic/endpoints/list_slots/invoke", key: key, body: body})
	}
	s.post("/integrations/clinic/endpoints/list_slots/test", members{"params": members{"day": "mon"}, "dry_run": true}).is(200)
	done := invoke(members{"params": members{"day": "mon"}}).is(200)
	require.Equal(t, `{"slots":["9:00","Bearer [secret]"]}`, done.at("final_result"))
	require.Equal(t, "upstream_error", invoke(members{"params": members{"day": "never"}}).is(200).at("error_code"))
	s.send(request{method: "POST", path: "/integrations/clinic/endpoints/list_slots/invoke", wrong: true, body: members{"params": members{"day": "mon"}, "dry_run": true}}).is(422, "not_allowed")
	require.Equal(t, []string{"/params/day"}, invoke(members{"params": members{"day": "x"}}).is(422).pointers())
	s.put("/integrations/clinic", members{"enabled": false}).is(200)
	invoke(members{"params": members{"day": "mon"}}).is(409, "integration_disabled")
	s.post("/integrations/clinic/endpoints/list_slots/test", members{"params": members{"day": "mon"}}).is(200)

	calls := s.recorded(t, 3)
	for n, c := range calls {
		require.Equal(t, n == 0, done.header.Get("X-Request-Id") == c.Meta.RequestID)
		require.NotEmpty(t, c.Meta.Actor)
	}
	ok, failed, test := invoked(calls[0]), invoked(calls[1]), invoked(calls[2])
	at := ok.At
	require.Positive(t, ok.Duration)
	ok.Duration, ok.At = 0, time.Time{}
	require.Equal(t, domain.IntegrationInvoked{
		ID: domain.NewID("acme", "clinic"), Workspace: "acme", Name: "clinic", Incarnation: 1, Version: 1, Endpoint: "list_slots", Method: "GET",
		Kind: domain.ToolCall, StatusCode: 200, Outcome: domain.CallOK, Attempts: 1, ResponseBytes: len(`{"slots": ["9:00", "Bearer t0ken-of-the-upstream"]}`),
	}, ok)
	require.WithinDuration(t, time.Now(), at, time.Minute)
	require.Equal(t, domain.OutcomeOf(domain.CallUpstreamError), failed.Outcome)
	require.Equal(t, 500, failed.StatusCode)
	require.Equal(t, domain.TestCall, test.Kind)
	require.Equal(t, uint64(2), test.Version)
}

// bearer sets an API key on every request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

func (s *service) mcp(t *testing.T, key string) (*mcp.ClientSession, error) {
	t.Helper()
	return s.mcpAt(t, "/v1/acme/mcp", key)
}

func (s *service) mcpAt(t *testing.T, path, key string) (*mcp.ClientSession, error) {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, nil)
	return client.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: s.url + path, HTTPClient: &http.Client{Transport: bearer(key)}, DisableStandaloneSSE: true,
	}, nil)
}

func TestAWorkspaceIsAnMCPServer(t *testing.T) {
	t.Parallel()
	s := serve(t)
	u := s.slots(t, "clinic")
	session, err := s.mcp(t, s.issue("acme", access.Invoke))
	require.NoError(t, err)
	defer func() { _ = session.Close() }()
	list, err := session.ListTools(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, list.Tools, 1)
	require.Equal(t, "clinic__list_slots", list.Tools[0].Name)

	ask := func(name string, arguments any) (*mcp.CallToolResult, error) {
		return session.CallTool(t.Context(), &mcp.CallToolParams{Name: name, Arguments: arguments})
	}
	text := func(r *mcp.CallToolResult) string { return r.Content[0].(*mcp.TextContent).Text }
	result, err := ask("clinic__list_slots", members{"day": "mon"})
	require.NoError(t, err)
	require.False(t, result.IsError)
	require.Equal(t, `{"slots":["9:00","Bearer [secret]"]}`, text(result), "an agent never sees a secret")
	require.Equal(t, "Bearer t0ken-of-the-upstream", u.last(t).Header.Get("Authorization"))

	result, err = ask("clinic__list_slots", members{"day": "x"})
	require.NoError(t, err)
	require.True(t, result.IsError, "a model can correct its arguments")
	require.Contains(t, text(result), "/arguments/day")
	result, err = ask("clinic__list_slots", members{"day": "never"})
	require.NoError(t, err)
	require.True(t, result.IsError)
	require.Contains(t, text(result), "500")
	_, err = ask("clinic__nothing", nil)
	require.ErrorContains(t, err, "no endpoint of that name")

	s.put("/integrations/clinic", members{"enabled": false}).is(200)
	_, err = ask("clinic__list_slots", members{"day": "mon"})
	require.ErrorContains(t, err, "disabled")
}

func TestToolsWithLongNamesAreFound(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.slots(t, "the-clinic-with-the-longest-name-of-all-the-clinics-that-there-are-in-town")
	session, err := s.mcp(t, s.key)
	require.NoError(t, err)
	defer func() { _ = session.Close() }()
	list, err := session.ListTools(t.Context(), nil)
	require.NoError(t, err)
	require.LessOrEqual(t, len(list.Tools[0].Name), 64)
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: list.Tools[0].Name, Arguments: members{"day": "mon"}})
	require.NoError(t, err)
	require.False(t, result.IsError)
}

func TestAnAgentWithoutThePermissionIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, key := range []string{"garbage", s.issue("acme", access.View), s.issue("other", access.Admin)} {
		_, err := s.mcp(t, key)
		require.Error(t, err)
	}
}
