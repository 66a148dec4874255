package transport_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
)

func TestATimelineShowsWhatChangedBeforeItBroke(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	u := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	s := serve(t)
	s.create(rest("crm", u.url, members{"endpoints": []any{endpoint("list")}}))
	s.create(rest("other", u.url))
	fresh := s.get("/integrations/crm/timeline").is(200)
	require.Nil(t, fresh.at("onset"))
	require.Nil(t, fresh.at("states", 0, "status"), "it was not probed")
	require.Equal(t, "integration.created", fresh.at("changes", 0, "type"))

	require.Equal(t, "healthy", s.post("/integrations/crm/test-connection", nil).is(200).at("status"))
	s.put("/integrations/crm", members{"health_check": members{"path": "/", "expect_status": 200}}).is(200)
	s.put("/integrations/other", members{"display_name": "Other 2"}).is(200)
	broken.Store(true)
	failed := s.post("/integrations/crm/test-connection", nil).is(200)
	s.post("/integrations/crm/endpoints/list/test", nil).is(200)

	got := s.get("/integrations/crm/timeline?buckets=12").is(200)
	require.Equal(t, failed.at("tested_at"), got.at("onset", "time"))
	require.Equal(t, "probes", got.at("onset", "shown_by"))
	require.Equal(t, failed.at("message"), got.at("onset", "message"))
	require.NotNil(t, got.at("onset", "last_healthy_at"))
	require.Equal(t, []any{"/health_check"}, got.at("onset", "changes_before", 0, "changed"), "of this integration, the nearest first")
	require.Len(t, got.at("changes"), 2)
	require.Len(t, got.at("states"), 3)
	require.Equal(t, got.at("onset", "status"), got.at("states", 2, "status"))
	probes, calls := 0., 0.
	for _, b := range got.at("probes").([]any) {
		probes += b.(map[string]any)["ok"].(float64) + b.(map[string]any)["failed"].(float64)
	}
	for _, b := range got.at("calls").([]any) {
		calls += b.(map[string]any)["failed"].(float64)
	}
	require.InDelta(t, 2, probes, 0)
	require.InDelta(t, 1, calls, 0)

	all := s.get("/v1/acme/timeline").is(200)
	require.Len(t, all.at("changes"), 4)
	require.Empty(t, all.at("probes"))

	// A span that was chosen: before anything happened, and in hours.
	from := url.QueryEscape(time.Now().Add(-48 * time.Hour).UTC().Format(time.RFC3339))
	to := url.QueryEscape(time.Now().Add(-47 * time.Hour).UTC().Format(time.RFC3339))
	before := s.get("/integrations/crm/timeline?from=" + from + "&to=" + to).is(200)
	require.Nil(t, before.at("onset"))
	require.Empty(t, before.at("changes"))
	soon(t, func() bool {
		hourly := s.get("/integrations/crm/timeline?buckets=48&from=" + from).is(200)
		require.InDelta(t, 2*3600e3, hourly.at("bucket_ms"), 0)
		return len(hourly.at("calls").([]any)) == 1 // as the usage, which counts soon after
	})

	s.delete("/integrations/crm").is(204)
	gone := s.get("/integrations/crm/timeline").is(200)
	states := gone.at("states").([]any)
	require.Equal(t, "deleted", states[len(states)-1].(map[string]any)["status"])
	s.get("/integrations/never/timeline").is(404)
	for _, wrong := range []string{"from=yesterday", "buckets=241", "from=2020-01-01T00:00:00Z", "from=2999-01-01T00:00:00Z"} {
		s.send(request{method: "GET", path: "/integrations/crm/timeline?" + wrong, wrong: wrong[:5] != "from=" || wrong == "from=yesterday"}).is(422)
	}
}

func TestANarrowKeySeesItsOwnOnTimelines(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, name := range []string{"crm", "ehr"} {
		s.create(rest(name, "https://a.example", members{"endpoints": []any{endpoint("list"), endpoint("find")}}))
	}
	_, text, err := s.stores.keys.Issue(t.Context(), access.Key{Workspace: "acme", Name: "narrow", Permissions: []access.Permission{access.View}, Scope: domain.Scope{Integrations: []string{"crm"}}})
	require.NoError(t, err)
	got := s.send(request{method: "GET", path: "/v1/acme/timeline", key: text}).is(200)
	require.Len(t, got.at("changes"), 1)
	require.Equal(t, "crm", got.at("changes", 0, "name"))
	s.send(request{method: "GET", path: "/integrations/ehr/timeline", key: text}).is(404)
}

func TestWhatAnUnsavedIntegrationOffersIsDiscovered(t *testing.T) {
	t.Parallel()
	s := serve(t)
	document := members{"openapi": "3.1.0", "info": members{"title": "t", "version": "1"}, "paths": members{
		"/a": members{"get": members{"operationId": "a"}}, "/b": members{"get": members{"operationId": "b"}},
	}}
	ask := func(more members) reply {
		body := members{"integration": members{"base_url": "https://a.example"}, "openapi": document}
		for name, value := range more {
			body[name] = value
		}
		return s.post("/integrations/discover", body)
	}
	require.InDelta(t, 2, ask(nil).is(200).at("total"), 0)
	first := ask(members{"limit": 1}).is(200)
	require.Equal(t, []string{"a"}, offered(first))
	require.Equal(t, []string{"b"}, offered(ask(members{"limit": 1, "continuation_token": first.at("continuation_token")}).is(200)))
	require.Equal(t, []string{"/integration/base_url"}, s.send(request{method: "POST", path: "/integrations/discover", body: members{"integration": members{"base_url": "nowhere"}}, wrong: true}).is(422).pointers())
	require.Equal(t, []string{"/integration"}, s.send(request{method: "POST", path: "/integrations/discover", body: members{"openapi": document}, wrong: true}).is(422).pointers())
	require.Zero(t, s.head(), "nothing is saved")
}

func offered(r reply) (names []string) {
	for _, e := range r.at("endpoints").([]any) {
		names = append(names, e.(map[string]any)["name"].(string))
	}
	return names
}

func TestAnOperatorListsWorkspaces(t *testing.T) {
	t.Parallel()
	s := serve(t)
	operator := s.issue("", access.Admin)
	ask := func(query string) reply {
		return s.send(request{method: "GET", path: "/v1/workspaces" + query, key: operator})
	}
	require.Empty(t, ask("").is(200).at("items"))
	for _, w := range []string{"acme", "zeta"} {
		s.send(request{method: "POST", path: "/v1/" + w + "/integrations", key: operator, body: rest("crm", "https://a.example")}).is(201)
	}
	first := ask("?limit=1").is(200)
	require.Equal(t, "acme", first.at("items", 0, "workspace_id"))
	require.Equal(t, true, first.at("has_more"))
	second := ask("?limit=1&continuation_token=" + first.at("continuation_token").(string)).is(200)
	require.Equal(t, "zeta", second.at("items", 0, "workspace_id"))
	require.Equal(t, false, second.at("has_more"))
	ask("?continuation_token=x").is(422, "token_mismatch")
	s.send(request{method: "GET", path: "/v1/workspaces?limt=1", key: operator, wrong: true}).is(422, "unknown_parameter")
	_, narrow, err := s.stores.keys.Issue(t.Context(), access.Key{Name: "narrow", Permissions: []access.Permission{access.View}, Scope: domain.Scope{Integrations: []string{"crm"}}})
	require.NoError(t, err)
	s.send(request{method: "GET", path: "/v1/workspaces", key: narrow}).is(403, "forbidden")
}

func TestTheActivityOfIntegrationsIsCountedByTheHour(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.slots(t, "clinic")
	s.invoke("clinic", "mon", "")
	s.invoke("clinic", "never", "")
	s.post("/integrations/clinic/test-connection", nil).is(200)
	var got reply
	soon(t, func() bool {
		got = s.get("/v1/acme/activity?integration_id=clinic,none,clinic").is(200)
		return len(got.at("items", 0, "hours").([]any)) > 0 && sumOf(got.at("items", 0, "hours"), "calls") == 2 // usage counts behind the calls
	})
	hours := got.at("items", 0, "hours")
	require.Equal(t, []float64{1, 1}, []float64{sumOf(hours, "errors"), sumOf(hours, "probes")})
	require.Len(t, got.at("items"), 2)
	require.Empty(t, got.at("items", 1, "hours"))
	for _, query := range []string{"?integration_id=", "?integration_id=a,,b", "?integration_id=" + strings.Repeat("a,", 200) + "a"} {
		s.send(request{method: "GET", path: "/v1/acme/activity" + query, wrong: true}).is(422)
	}
	narrow := s.send(request{method: "POST", path: "/api-keys", body: members{"name": "narrow", "permissions": []string{"Integration.view"}, "integrations": []string{"clinic"}}}).is(201).at("key").(string)
	s.send(request{method: "GET", path: "/v1/acme/activity?integration_id=clinic", key: narrow}).is(403, "forbidden")
}

func sumOf(hours any, name string) (sum float64) {
	for _, one := range hours.([]any) {
		n, _ := one.(members)[name].(float64)
		sum += n
	}
	return sum
}

func TestTheStepsOfAnEndpointAreTriedOnAnAnswer(t *testing.T) {
	t.Parallel()
	s := serve(t)
	viewer := s.issue("acme", access.View)
	try := func(body members) reply {
		return s.send(request{method: "POST", path: "/integrations/reshape", body: body, key: viewer})
	}
	response := members{"slots": []any{members{"start": "09:00", "room": 4}}, "secret": "x"}
	got := try(members{"response": response, "response_filter": []string{"slots"}, "response_mapping": members{"first": "slots[0].start"}}).is(200)
	require.Equal(t, members{"first": "09:00"}, got.at("after_mapping"))
	require.Equal(t, `{"first":"09:00"}`, got.at("final_result"))
	require.NotContains(t, got.text, "secret")
	require.Contains(t, try(members{"response": response, "response_mapping": members{"first": "slots["}}).is(200).at("error"), "response_mapping: first")
	require.Equal(t, "plain", try(members{"response": members{"a": "plain"}, "result_key": "a"}).is(200).at("final_result"))
	s.send(request{method: "POST", path: "/integrations/reshape", body: members{"result_key": 7, "odd": 1}, key: viewer, wrong: true}).is(422, "validation_failed")
	for member, value := range map[string]any{ // the limits of an endpoint
		"result_key": strings.Repeat("[", 513), "result_template": strings.Repeat("{", 16_385), "max_result_length": -1, "status_code": 1000,
		"response_filter": []string{strings.Repeat("-", 513)}, "response_mapping": members{"a/b": strings.Repeat("-", 513)},
	} {
		got := s.send(request{method: "POST", path: "/integrations/reshape", body: members{"response": 1, member: value}, key: viewer, wrong: true}).is(422)
		require.Contains(t, got.text, "/"+member)
	}
}
