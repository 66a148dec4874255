package transport_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/peers"
)

// fhir gets a page as FHIR.
func (s *service) fhir(path string) members {
	s.t.Helper()
	got := s.plain("GET", path, "application/fhir+json")
	require.Equal(s.t, 200, got.StatusCode)
	require.Equal(s.t, "application/fhir+json; charset=utf-8", got.Header.Get("Content-Type"))
	var bundle members
	require.NoError(s.t, json.NewDecoder(unzipped(s.t, got)).Decode(&bundle))
	return bundle
}

// recordSome makes an event of each kind, and calls that succeed and fail.
func (s *service) recordSome() {
	s.t.Helper()
	u := listen(s.t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gone" {
			w.WriteHeader(http.StatusGone)
		}
		_, _ = w.Write([]byte(`{}`))
	})
	s.create(rest("crm", u.url, members{"endpoints": []any{endpoint("list", members{"path": "/x"}), endpoint("gone", members{"path": "/gone"})}}))
	s.put("/integrations/crm", members{"display_name": "Other"}).is(200)
	s.post("/integrations/crm/endpoints/list/invoke", members{}).is(200)
	s.post("/integrations/crm/endpoints/gone/test", members{}).is(200)
	s.delete("/integrations/crm").is(204)
}

func TestEventsAndCallsAreAuditEventsOfFHIR(t *testing.T) {
	t.Parallel()
	s := serve(t)
	require.NotContains(t, s.fhir("/v1/acme/integrations/events"), "entry", "an empty array is not valid")
	s.recordSome()
	events, calls := s.fhir("/v1/acme/integrations/events"), s.fhir("/v1/acme/integrations/calls")
	var actions, outcomes []any
	for _, e := range events["entry"].([]any) {
		actions = append(actions, e.(members)["resource"].(members)["action"])
	}
	require.Equal(t, []any{"C", "U", "D"}, actions)
	for _, e := range calls["entry"].([]any) {
		outcomes = append(outcomes, e.(members)["resource"].(members)["outcome"])
	}
	require.Equal(t, []any{"8", "0"}, outcomes, "newest first")
	first := events["entry"].([]any)[0].(members)["resource"].(members)
	key := s.send(request{method: "GET", path: "/v1/auth/me"}).is(200).at("id")
	require.Equal(t, key, first["agent"].([]any)[0].(members)["who"].(members)["identifier"].(members)["value"])
	require.Equal(t, members{"address": "127.0.0.1", "type": "2"}, first["agent"].([]any)[0].(members)["network"])

	page := s.fhir("/v1/acme/integrations/events?limit=2")
	link := page["link"].([]any)[1].(members)
	require.Equal(t, "next", link["relation"])
	rest := s.fhir(strings.TrimPrefix(link["url"].(string), s.url))
	require.Len(t, rest["entry"], 1)
	require.Len(t, rest["link"], 1)
}

func TestAuditEventsAreValidByTheDefinitionsOfFHIR(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	s := serve(t)
	s.recordSome()
	resources := []any{s.fhir("/v1/acme/integrations/events"), s.fhir("/v1/acme/integrations/calls?limit=1"), s.fhir("/v1/acme/integrations/calls?from=2099-01-01T00:00:00Z")}
	broken := s.fhir("/v1/acme/integrations/events")
	delete(broken["entry"].([]any)[0].(members)["resource"].(members), "recorded")
	var problems [][]string
	peers.RunNode(t, "fhir_validate.mjs", map[string]any{"resources": append(resources, broken)}, &problems)
	require.Len(t, problems, 4)
	for n := range resources {
		require.Empty(t, problems[n])
	}
	require.NotEmpty(t, problems[3], "the validator finds what is wrong")
}
