package transport_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheEndpointsOfAnUpstreamAreDiscoveredAndNothingIsWritten(t *testing.T) {
	t.Parallel()
	u := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"resource": [{"type": "Patient", "interaction": [{"code": "read"}, {"code": "search-type"}]}]}]}`))
	})
	s := serve(t)
	s.create(rest("ehr", u.url, members{"protocol": "fhir", "endpoints": []any{endpoint("find", members{"path": "/Patient"})}}))
	head := s.head()
	got := s.post("/integrations/ehr/discover", nil).is(200)
	require.Equal(t, "CapabilityStatement", got.at("source"))
	require.Equal(t, "get_patient", got.at("endpoints", 0, "name"))
	require.Equal(t, []any{"search_patient"}, got.at("configured"), "by its method and path")
	require.Equal(t, head, s.head())

	s.put("/integrations/ehr", members{"endpoints": []any{got.at("endpoints", 0)}}).is(200)
	require.Equal(t, []any{"get_patient"}, s.post("/integrations/ehr/discover", members{}).is(200).at("configured"), "an offer is ready to be configured")

	s.create(rest("crm", u.url))
	require.Equal(t, []string{"/openapi_url"}, s.post("/integrations/crm/discover", nil).is(422, "required").pointers())
	api := members{"openapi": "3.1.0", "paths": members{"/a": members{"get": members{"operationId": "a"}}}}
	require.Equal(t, "a", s.post("/integrations/crm/discover", members{"openapi": api}).is(200).at("endpoints", 0, "name"))
	api["servers"] = []any{members{"url": "https://elsewhere.example/v2"}}
	require.Equal(t, "https://elsewhere.example/v2", s.post("/integrations/crm/discover", members{"openapi": api}).is(200).at("endpoints", 0, "base_url"))
	require.Equal(t, "upstream_error", s.post("/integrations/crm/discover", members{"openapi_url": listen(t, http.NotFound).url}).is(200).at("error_code"))
	for body, at := range map[string]string{
		`{"openapi_url": 1}`: "/openapi_url", `{"openapi_url": "ftp://a"}`: "/openapi_url", `{"openapi": 1}`: "/openapi", `{"openapi": "x"}`: "/openapi",
		`{"select": 1}`: "/select", `{"select": {"tag": []}}`: "/select/tag", `{"limit": 0}`: "/limit", `{"limit": 1001}`: "/limit", `{"limit": 1.5}`: "/limit", `{"continuation_token": 1}`: "/continuation_token",
		`{"openapi": {}}`: "/openapi", `{"openapi": "x", "openapi_url": "https://a.example"}`: "/openapi", `{"swagger": 1}`: "/swagger",
	} {
		require.Equal(t, []string{at}, s.send(request{method: "POST", path: "/integrations/crm/discover", body: body, wrong: true}).is(422).pointers(), body)
	}
}

func TestADiscoveryIsNarrowedAndPaged(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.create(rest("crm", "https://crm.example"))
	operation := func(id, tag string, more ...members) members {
		doc := members{"operationId": id, "tags": []any{tag}, "parameters": []any{members{"name": "q", "in": "query", "schema": members{"type": "string", "pattern": "^(?!x)"}}}}
		for _, m := range more {
			for k, v := range m {
				doc[k] = v
			}
		}
		return doc
	}
	api := members{"openapi": "3.1.0", "paths": members{
		"/a": members{"get": operation("a", "one"), "head": members{}}, "/b": members{"get": operation("b", "two")}, "/c": members{"post": operation("c", "one")},
		"/d": members{"get": operation("d", "one", members{"parameters": []any{members{"name": "Host", "in": "header", "required": true}}})},
	}}
	discover := func(more members) reply {
		more["openapi"] = api
		return s.post("/integrations/crm/discover", more).is(200)
	}
	all := discover(members{})
	require.EqualValues(t, 5, all.at("total"))
	require.EqualValues(t, 3, all.at("offered"))
	require.Equal(t, []any{
		members{"operation": "HEAD /a", "reason": "an endpoint can't have its method"},
		members{"operation": "GET /d", "reason": `it needs the header parameter "Host": is a header that callers can't set`},
	}, all.at("skipped"))
	require.Equal(t, members{"name": "a", "note": `pattern of /q is left out: the pattern "^(?!x)" can't be checked here`}, all.at("notes", 0))
	require.Nil(t, all.at("continuation_token"))

	narrowed := discover(members{"select": members{"tags": []any{"one"}, "methods": []any{"GET"}}})
	require.EqualValues(t, 2, narrowed.at("total"))
	require.Equal(t, "a", narrowed.at("endpoints", 0, "name"))

	var names []any
	offered, skipped, page := 0, 0, members{"limit": 1}
	for {
		got := discover(page)
		for _, one := range got.at("endpoints").([]any) {
			names = append(names, one.(members)["name"])
		}
		offered, skipped = offered+int(got.at("offered").(float64)), skipped+len(got.at("skipped").([]any))
		if page = (members{"limit": 1, "continuation_token": got.at("continuation_token")}); page["continuation_token"] == nil {
			break
		}
		require.Equal(t, true, got.at("truncated"))
	}
	require.Equal(t, []any{"a", "b", "c"}, names)
	require.Equal(t, []int{3, 2}, []int{offered, skipped}, "every operation is on one page")

	token := discover(members{"limit": 1}).at("continuation_token")
	s.post("/integrations/crm/discover", members{"openapi": api, "select": members{"search": "b"}, "continuation_token": token}).is(422, "token_mismatch")
}

func TestADocumentOfFourMebibytesIsRead(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.create(rest("crm", "https://crm.example"))
	const start = `{"openapi": "3.1.0", "paths": {"/a": {"get": {"operationId": "a"}}}, "x-fill": "`
	require.EqualValues(t, 1, s.post("/integrations/crm/discover", members{"openapi": start + strings.Repeat("x", 4<<20-len(start)-2) + `"}`}).is(200).at("offered"))
	s.post("/integrations/crm/discover", members{"openapi": start + strings.Repeat("x", 4<<20) + `"}`}).is(422, "too_large")
}
