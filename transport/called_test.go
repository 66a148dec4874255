package transport_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
)

// invoke calls the endpoint of slots.
func (s *service) invoke(integration, day, key string) {
	s.t.Helper()
	s.send(request{method: "POST", path: "/integrations/" + integration + "/endpoints/list_slots/invoke", key: key, body: members{"params": members{"day": day}}}).is(200)
}

// called returns a line for each call that a list shows, page by page.
func (s *service) called(path, query string) (all []string) {
	s.t.Helper()
	for token := ""; ; {
		got := s.get(path + "?limit=2&continuation_token=" + token + query).is(200)
		for n := range got.at("items").([]any) {
			c := got.at("items", n).(members)
			endpoint, _ := c["endpoint"].(string)
			all = append(all, strings.Join([]string{c["name"].(string), c["kind"].(string), endpoint, c["outcome"].(string)}, " "))
		}
		if got.at("has_more") == false {
			return all
		}
		token = got.at("continuation_token").(string)
	}
}

func TestTheCallsOfAWorkspaceAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	s := serve(t)
	u := s.slots(t, "clinic")
	s.slots(t, "lab")
	key := s.issue("acme", access.Invoke)
	s.invoke("clinic", "mon", "")
	s.invoke("clinic", "never", key)
	s.invoke("lab", "tue", "")
	between := url.QueryEscape(time.Now().UTC().Format(time.RFC3339Nano))
	s.post("/integrations/clinic/endpoints/list_slots/test", members{"params": members{"day": "wed"}}).is(200)
	s.post("/integrations/lab/discover", members{"openapi_url": u.url}).is(422)
	s.post("/integrations/test-connection", members{"id": "lab"}).is(200)
	s.send(request{method: "POST", path: "/v1/other/integrations", key: s.issue("other", access.Admin), body: rest("clinic", u.url)}).is(201)
	s.send(request{method: "POST", path: "/v1/other/integrations/test-connection", key: s.issue("other", access.Admin), body: members{"id": "clinic"}}).is(200)

	all := []string{
		"lab connection  ok", "clinic test list_slots ok", "lab invoke list_slots ok", "clinic invoke list_slots upstream_error", "clinic invoke list_slots ok",
	}
	require.Equal(t, all, s.called("/integrations/calls", ""))
	for query, want := range map[string][]string{
		"&endpoint=list_slots":                  all[1:],
		"&endpoint=nothing":                     nil,
		"&kind=test":                            all[1:2],
		"&kind=mcp":                             nil,
		"&outcome=upstream_error":               all[3:4],
		"&outcome=ok&kind=invoke":               {all[2], all[4]},
		"&from=" + between:                      all[:2],
		"&to=" + between:                        all[2:],
		"&to=2020-01-01T00:00:00Z":              nil,
		"&from=" + between + "&kind=connection": all[:1],
	} {
		require.Equal(t, want, s.called("/integrations/calls", query), query)
	}
	require.Equal(t, []string{all[1], all[3], all[4]}, s.called("/integrations/clinic/calls", ""))
	require.Equal(t, all[3:4], s.called("/integrations/clinic/calls", "&outcome=upstream_error"))
	require.Equal(t, all[3:4], s.called("/integrations/calls", "&key="+strings.Split(key, "_")[1]))

	last := s.get("/integrations/clinic/calls?limit=1").is(200)
	require.Equal(t, "GET", last.at("items", 0, "method"))
	require.InDelta(t, 1, last.at("items", 0, "version"), 0)
	require.InDelta(t, 1, last.at("items", 0, "attempts"), 0)
	require.Equal(t, domain.NewID("acme", "clinic"), domain.ID(last.at("items", 0, "integration_id").(string)))
	hidden(t, "the list of calls", s.get("/integrations/calls").text, "t0ken-of-the-upstream", "wed")

	s.delete("/integrations/clinic").is(204)
	require.Len(t, s.called("/integrations/clinic/calls", ""), 3, "what was done stays recorded")
	s.get("/integrations/nothing/calls").is(404, "integration_not_found")
	require.Empty(t, s.called("/integrations/google-maps/calls", ""))
	got := s.send(request{method: "GET", path: "/integrations/calls?kind=call&outcome=fine&from=now&to=1&limit=0", wrong: true}).is(422)
	require.ElementsMatch(t, []string{"/kind", "/outcome", "/from", "/to", "/limit"}, got.pointers())
	token := s.get("/integrations/calls?limit=1").is(200).at("continuation_token").(string)
	s.get("/integrations/calls?kind=test&continuation_token="+token).is(422, "token_mismatch")
	s.get("/integrations/events?order=newest&continuation_token="+token).is(422, "token_mismatch")
}

func TestAllCallsAreStreamedAsLines(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.slots(t, "clinic")
	for range 5 {
		s.invoke("clinic", "mon", "")
	}
	got := s.send(request{method: "GET", path: "/integrations/calls?limit=2", header: map[string]string{"Accept": "application/x-ndjson"}}).is(200)
	lines := strings.Split(strings.TrimSuffix(got.text, "\n"), "\n")
	require.Len(t, lines, 5)
	for n, line := range lines {
		var c members
		require.NoError(t, json.Unmarshal([]byte(line), &c))
		require.InDelta(t, 5-n, c["position"], 0)
	}
}

func TestCallsAreFollowedLive(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.slots(t, "clinic")
	s.invoke("clinic", "mon", "")
	path := "/v1/acme/integrations/calls/stream"
	first := s.listenTo(path, s.key, "0")
	name, data, ok := first.next()
	require.True(t, ok)
	require.Equal(t, "integration.invoked", name)
	require.Contains(t, data, `"kind":"invoke"`)
	s.invoke("clinic", "never", "")
	_, data, ok = first.next()
	require.True(t, ok)
	require.Contains(t, data, `"outcome":"upstream_error"`)
	require.Equal(t, "2", first.last)
	first.end()

	s.invoke("clinic", "tue", "")
	again := s.listenTo(path, s.key, first.last)
	_, data, ok = again.next()
	require.True(t, ok)
	require.Contains(t, data, `"position":3`)
	again.end()
	for id, code := range map[string]string{"99": "position_unknown", "x": "last_event_id_invalid"} {
		s.send(request{method: http.MethodGet, path: path, header: map[string]string{"Last-Event-ID": id}, wrong: true}).is(422, code)
	}
}

func TestTheUsageOfAnIntegrationIsCounted(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.slots(t, "clinic")
	none := s.get("/integrations/clinic/usage").is(200)
	require.Equal(t, []any{}, none.at("hours"))
	require.Nil(t, none.at("error_share"))
	require.Nil(t, none.at("duration_ms"))
	for _, day := range []string{"mon", "tue", "wed", "never"} {
		s.invoke("clinic", day, "")
	}
	s.post("/integrations/clinic/endpoints/list_slots/test", members{"params": members{"day": "mon"}}).is(200)
	soon(t, func() bool { return s.get("/integrations/clinic/usage").is(200).at("calls") == 5.0 })
	got := s.get("/integrations/clinic/usage").is(200)
	require.InDelta(t, 0.2, got.at("error_share"), 1e-9)
	require.Equal(t, members{"invoke": 4.0, "test": 1.0}, got.at("kinds"))
	require.Equal(t, members{"ok": 4.0, "upstream_error": 1.0}, got.at("outcomes"))
	require.Positive(t, got.at("duration_ms", "p50"))
	require.GreaterOrEqual(t, got.at("duration_ms", "p99"), got.at("duration_ms", "p95"))
	require.NotEmpty(t, got.at("hours"))
	s.get("/integrations/nothing/usage").is(404, "integration_not_found")
	require.InDelta(t, 0, s.get("/integrations/google-maps/usage").is(200).at("calls"), 0)
}
