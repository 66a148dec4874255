package transport_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

func TestAnIntegrationIsCreatedReadChangedAndDeleted(t *testing.T) {
	t.Parallel()
	s := serve(t)
	u := listen(t, nil)
	created := s.post("/integrations", rest("crm", u.url, members{
		"auth":         members{"api_key_value": "k"},
		"endpoints":    []any{endpoint("list", members{"response_mapping": members{"a": "b"}, "headers": members{"X-One": "1"}})},
		"health_check": members{"path": "/ping", "expect_status": 200},
	})).is(201)
	id := created.at("id").(string)
	require.Equal(t, "/v1/acme/integrations/"+id, created.header.Get("Location"))
	created.tagged(1)
	require.Equal(t, "1", created.header.Get("Event-Position"))
	require.Equal(t, "api_key_header", created.at("auth", "type"))
	require.Equal(t, true, created.at("auth", "secrets", "api_key_value", "set"))

	byID, byName := s.get("/integrations/"+id).is(200), s.get("/integrations/crm").is(200)
	require.JSONEq(t, created.text, byID.text)
	require.JSONEq(t, created.text, byName.text)
	require.JSONEq(t, created.text, s.get(created.header.Get("Location")).is(200).text)

	s.post("/integrations", rest("crm", u.url)).is(409, "name_taken")
	changed := s.put("/integrations/crm", members{"display_name": "Sales", "enabled": nil}).is(200)
	require.Equal(t, "Sales", changed.at("display_name"))
	require.Equal(t, true, changed.at("enabled"))
	changed.tagged(2)
	require.JSONEq(t, changed.text, s.get("/integrations/"+id).is(200).text)
	require.Equal(t, []string{"/name"}, s.send(request{method: "PUT", path: "/integrations/crm", body: members{"name": "other"}, wrong: true}).is(422, "immutable").pointers())

	gone := s.delete("/integrations/crm").is(204)
	require.Empty(t, gone.text)
	require.Equal(t, "3", gone.header.Get("Event-Position"))
	for _, path := range []string{id, "crm"} {
		s.get("/integrations/"+path).is(404, "integration_not_found")
		s.put("/integrations/"+path, members{"enabled": true}).is(404, "integration_not_found")
		s.delete("/integrations/"+path).is(404, "integration_not_found")
		s.post("/integrations/"+path+"/endpoints/list/test", nil).is(404, "integration_not_found")
		s.post("/integrations/"+path+"/test-connection", nil).is(404, "integration_not_found")
	}
	again := s.post("/integrations", rest("crm", u.url)).is(201)
	require.Equal(t, id, again.at("id"))
	again.tagged(4) // a version is never reused
	require.Nil(t, again.at("auth"))
}

func TestBuiltinsAreInEveryWorkspaceAndCanNotBeChanged(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, name := range []string{"google-maps", "google-search", "amigo-fhir"} {
		got := s.get("/integrations/" + name).is(200)
		require.Equal(t, true, got.at("builtin"))
		s.put("/integrations/"+name, members{"enabled": false}).is(409, "builtin")
		s.delete("/integrations/"+name).is(409, "builtin")
		s.post("/integrations", rest(name, "https://a.example")).is(422, "reserved")
		require.Empty(t, s.get("/integrations/"+name+"/history").is(200).at("items"))
		probe := s.post("/integrations/"+name+"/test-connection", nil).is(200)
		require.Equal(t, "misconfigured", probe.at("status"))
	}
	maps := s.post("/integrations/google-maps/endpoints/geocode/test", members{"params": members{"addressQuery": "Bern"}}).is(200)
	require.Equal(t, "misconfigured", maps.at("error_code"))
	require.Contains(t, maps.at("error"), "INTEGRATIONS_GOOGLE_MAPS_KEY")
	require.Zero(t, s.head())
}

// names returns the names of the items of a listing.
func (r reply) names() []string {
	r.t.Helper()
	items, ok := r.at("items").([]any)
	require.True(r.t, ok)
	all := []string{}
	for _, item := range items {
		all = append(all, item.(map[string]any)["name"].(string))
	}
	return all
}

func TestAListIsFilteredSortedAndSearched(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.create(rest("alpha", "https://a.example", members{"display_name": "One of ÄRZTE"}))
	s.create(rest("bravo", "https://b.example", members{"enabled": false}))
	s.create(rest("charlie", "https://c.example", members{"protocol": "fhir"}))
	s.create(members{"name": "delta", "display_name": "MCP 100%", "protocol": "mcp", "mcp_transport": "http", "mcp_url": "https://d.example/mcp", "mcp_headers": members{"X-Key": "k"}})
	s.put("/integrations/alpha", members{"health_check": members{"path": "/x"}}).is(200)
	builtins := []string{"google-maps", "google-search", "amigo-fhir"}
	for query, want := range map[string][]string{
		"":                                      nil,
		"enabled=false":                         {"bravo"},
		"enabled=true&builtin=false":            {"alpha", "charlie", "delta"},
		"protocol=fhir":                         {"charlie", "amigo-fhir"},
		"protocol=mcp":                          {"delta"},
		"builtin=true":                          builtins,
		"search=%C3%A4rzt":                      {"alpha"},
		"search=100%25":                         {"delta"},
		"search=GOOGLE":                         {"google-maps", "google-search"},
		"search=_":                              {},
		"search=nothing":                        {},
		"search=l&protocol=rest&builtin=false":  {"alpha"},
		"continuation_token=&protocol=mcp":      {"delta"},
		"continuation_token=0&protocol=mcp":     {"delta"},
		"enabled=false&protocol=fhir":           {},
		"search=%00":                            {},
		"search=%27%20OR%201%3D1%20--":          {},
		"builtin=false&sort_by=name&limit=200":  {"alpha", "bravo", "charlie", "delta"},
		"builtin=true&search=fhir&enabled=true": {"amigo-fhir"},
	} {
		got := s.get("/integrations?" + query).is(200)
		if want == nil {
			want = append([]string{"alpha", "bravo", "charlie", "delta"}, builtins...)
		}
		require.ElementsMatch(t, want, got.names(), query)
		require.InDelta(t, len(want), got.at("total"), 0, query)
		require.Equal(t, false, got.at("has_more"), query)
		require.Nil(t, got.at("continuation_token"), query)
	}
	for order, want := range map[string][]string{
		"name": {"alpha", "bravo", "charlie", "delta"}, "%2Bname": {"alpha", "bravo", "charlie", "delta"}, "-name": {"delta", "charlie", "bravo", "alpha"},
		"+created_at": {"alpha", "bravo", "charlie", "delta"}, "-created_at": {"delta", "charlie", "bravo", "alpha"},
		"updated_at": {"bravo", "charlie", "delta", "alpha"}, "-updated_at": {"alpha", "delta", "charlie", "bravo"},
	} {
		require.Equal(t, want, s.send(request{method: "GET", path: "/integrations?builtin=false&sort_by=" + order, wrong: true}).is(200).names(), order)
	}
	require.Equal(t, []string{"delta", "charlie", "bravo", "alpha"}, s.get("/integrations?builtin=false").is(200).names(), "newest first")
}

func TestPagesShowEveryIntegrationOnceWhileOthersComeAndGo(t *testing.T) {
	t.Parallel()
	s := serve(t)
	want := []string{"amigo-fhir", "google-maps", "google-search"}
	for n := range 9 {
		name := fmt.Sprintf("api-%d", n)
		s.create(rest(name, "https://a.example"))
		want = append(want, name)
	}
	slices.Sort(want)
	for _, limit := range []int{1, 2, 5, 12} {
		var seen []string
		token := "0"
		for page := 0; ; page++ {
			got := s.get(fmt.Sprintf("/integrations?sort_by=name&limit=%d&continuation_token=%s", limit, url.QueryEscape(token))).is(200)
			require.InDelta(t, 12+boolInt(page > 0 && limit < 12), got.at("total"), 0)
			seen = append(seen, got.names()...)
			if got.at("has_more") == false {
				require.Nil(t, got.at("continuation_token"))
				break
			}
			require.Len(t, got.names(), limit)
			token = got.at("continuation_token").(string)
			if page == 0 { // it sorts before everything shown so far
				s.create(rest("aaa", "https://a.example"))
			}
		}
		require.Equal(t, want, seen, "pages of %d", limit)
		if limit < 12 {
			s.delete("/integrations/aaa").is(204)
		}
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestATokenBelongsToItsListing(t *testing.T) {
	t.Parallel()
	s := serve(t)
	token := s.get("/integrations?limit=1&sort_by=name").is(200).at("continuation_token").(string)
	operator := s.issue("", "Workspace.admin")
	for _, r := range []request{
		{path: "/v1/other/integrations?sort_by=name&continuation_token=" + token, key: operator},
		{path: "/integrations?sort_by=-name&continuation_token=" + token},
		{path: "/integrations?sort_by=name&enabled=true&continuation_token=" + token},
		{path: "/integrations?sort_by=name&search=a&continuation_token=" + token},
		{path: "/integrations/google-maps/history?continuation_token=" + token},
		{path: "/integrations?sort_by=name&continuation_token=" + token[1:]},
		{path: "/integrations?sort_by=name&continuation_token=" + token + "A"},
		{path: "/integrations?continuation_token=1"},
		{path: "/integrations?continuation_token=%00"},
		{path: "/integrations?continuation_token=../../etc/passwd"},
	} {
		r.method = "GET"
		require.Equal(t, []string{"/continuation_token"}, s.send(r).is(422, "token_mismatch").pointers(), r.path)
	}
	s.get("/integrations?limit=7&sort_by=%2Bname&continuation_token=" + token).is(200) // another limit is the same listing
}

func TestOneOf32RacingCreatorsWins(t *testing.T) {
	t.Parallel()
	s := serve(t)
	statuses := make(chan int, 32)
	for n := range 32 {
		go func() {
			statuses <- s.send(request{method: "POST", path: "/integrations", body: rest("race", fmt.Sprintf("https://%d.example", n))}).status
		}()
	}
	count := map[int]int{}
	for range 32 {
		count[<-statuses]++
	}
	require.Equal(t, map[int]int{http.StatusCreated: 1, http.StatusConflict: 31}, count)
	require.Equal(t, uint64(1), s.head())
}

// soon waits until a condition holds.
func soon(t *testing.T, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, time.Minute, 10*time.Millisecond)
}

// What is read in lists and by itself is what the change was answered with, byte for byte,
// whether the read model joins it or it is made for the caller.
func TestAnIntegrationIsTheSameInEveryAnswer(t *testing.T) {
	t.Parallel()
	s := serve(t)
	u := listen(t, nil)
	created := s.post("/integrations", rest("crm", u.url, members{
		"display_name": "<CRM> & \"more\"", "auth": members{"bearer_token_value": "k"}, "endpoints": []any{endpoint("list", nil)},
	})).is(201)
	s.post("/integrations/crm/test-connection", nil).is(200)
	require.Equal(t, strings.TrimSuffix(created.text, `,"last_test_status":null,"last_test_message":null,"last_tested_at":null}`+"\n"),
		strings.Split(s.get("/integrations/crm").is(200).text, `,"last_test_status":"`)[0])
	one := strings.TrimSpace(s.get("/integrations/crm").is(200).text)
	require.Contains(t, one, `"last_test_status":"healthy"`)
	require.Contains(t, s.get("/integrations?builtin=false").is(200).text, `{"items":[`+one+`],"has_more":false,"continuation_token":null,"total":1}`)
	require.Contains(t, s.get("/integrations?limit=4").is(200).text, one)
	narrow := s.narrowed(domain.Scope{Integrations: []string{"crm"}}, access.View)
	require.Equal(t, one, strings.TrimSpace(s.as(narrow, "GET", "/integrations/crm", nil).is(200).text))
	require.Contains(t, s.as(narrow, "GET", "/integrations", nil).is(200).text, `{"items":[`+one+`],"has_more":false`)
	builtin := strings.TrimSpace(s.get("/integrations/google-maps").is(200).text)
	require.Contains(t, s.get("/integrations").is(200).text, builtin)
}

func TestASearchIsCountedUpToABound(t *testing.T) {
	if os.Getenv("MONGODB_URI") != "" {
		t.Skip("SKIPPED: a server that has no indexes takes minutes; the suite of the stores counts up to a bound there")
	}
	t.Parallel()
	s := serve(t, func(set *settings) { set.noProjector = true })
	var b projections.Batch
	for n := range 1001 {
		name := fmt.Sprintf("clinic-%04d", n)
		b.Documents = append(b.Documents, projections.Document{Position: uint64(n + 1), Integration: domain.Integration{
			ID: domain.NewID("acme", name), Workspace: "acme", Name: name, Version: 1, Incarnation: 1,
			Configuration: domain.Configuration{DisplayName: name, Protocol: domain.REST, Enabled: true, Endpoints: []domain.Endpoint{}},
		}})
	}
	require.NoError(t, s.stores.read.Apply(t.Context(), b))
	for query, want := range map[string][]any{
		"search=clinic": {1000., true}, "search=clinic&exact_total=false": {1000., true}, "search=clinic&exact_total=true": {1001., nil},
		"search=clinic-099": {10., nil}, "": {1004., nil}, "exact_total=true&enabled=true": {1004., nil},
	} {
		page := s.get("/integrations?limit=5&" + query).is(200)
		require.Equal(t, want, []any{page.at("total"), page.at("total_is_at_least")}, query)
	}
}
