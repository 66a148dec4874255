package transport_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestABodyThatIsNotOneStrictJSONObjectIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.create(rest("crm", "https://a.example", members{"endpoints": []any{endpoint("list")}}))
	before := s.head()
	valid := `{"name":"x1","display_name":"X","base_url":"https://a.example"`
	for body, code := range map[string]string{
		"":                               "malformed_json",
		" ":                              "malformed_json",
		"x":                              "malformed_json",
		"{":                              "malformed_json",
		`{"name"`:                        "malformed_json",
		`{"name":}`:                      "malformed_json",
		valid + "}}":                     "malformed_json",
		valid + "} {}":                   "malformed_json",
		valid + "} null":                 "malformed_json",
		valid + ",}":                     "malformed_json",
		"\xef\xbb\xbf" + valid + "}":     "malformed_json",
		"{'name':'x1'}":                  "malformed_json",
		"// hello\n{}":                   "malformed_json",
		`{"name":"` + "\xff" + `"}`:      "malformed_json",
		`{"name":"\ud800"}`:              "malformed_json",
		`{"a":01}`:                       "malformed_json",
		`{"a":NaN}`:                      "malformed_json",
		"{\"a\":\"\x01\"}":               "malformed_json",
		"[]":                             "type",
		"null":                           "type",
		`"text"`:                         "type",
		"1":                              "type",
		`{"name":"a","name":"b"}`:        "duplicate_member",
		`{"name":"a","n\u0061me":"b"}`:   "duplicate_member",
		valid + `,"auth":{"a":1,"a":2}}`: "duplicate_member",
		valid + `,"Enabled":true}`:       "unknown_member",
		valid + `,"colour":"red"}`:       "unknown_member",
		valid + `,"builtin":false}`:      "unknown_member",
		valid + `,"id":"x"}`:             "unknown_member",
		valid + `,"workspace_id":"b"}`:   "unknown_member",
		valid + `,"version":1}`:          "unknown_member",
		strings.Repeat("[", 20_000):      "too_deep",
		strings.Repeat(`{"a":`, 20_000):  "too_deep",
		`{"endpoints":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`: "too_deep",
	} {
		got := s.send(request{method: "POST", path: "/integrations", body: body, wrong: true}).is(422, code)
		if body == valid+`,"colour":"red"}` {
			require.Equal(t, []string{"/colour"}, got.pointers())
		}
		got = s.send(request{method: "PUT", path: "/integrations/crm", body: body, wrong: true})
		require.Equal(t, 422, got.status, "%s", body)
		if body != "" {
			s.send(request{method: "POST", path: "/integrations/crm/endpoints/list/test", body: body, wrong: true}).is(422)
			s.send(request{method: "POST", path: "/api-keys", body: body, wrong: true}).is(422)
		}
		if !strings.Contains(body, `"id"`) { // a member of that body
			s.send(request{method: "POST", path: "/integrations/test-connection", body: body, wrong: true}).is(422)
		}
	}
	all := s.send(request{method: "POST", path: "/integrations", wrong: true, body: `{"name":"X","protocol":"soap","enabled":"yes","colour":1,"endpoints":[{"name":"a b"}]}`}).is(422, "validation_failed")
	require.ElementsMatch(t, []string{"/name", "/display_name", "/protocol", "/base_url", "/enabled", "/endpoints/0/name", "/endpoints/0/description", "/endpoints/0/path", "/colour"}, all.pointers())
	require.Equal(t, before, s.head())
}

func TestABodyOverTheLimitIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.create(rest("crm", "https://a.example", members{"endpoints": []any{endpoint("list")}}))
	padded := func(size int) string { return `{"name":"` + strings.Repeat("a", size-11) + `"}` }
	s.send(request{method: "POST", path: "/integrations", body: padded(1<<20 + 1), wrong: true}).is(413, "body_too_large")
	s.send(request{method: "PUT", path: "/integrations/crm", body: padded(1<<20 + 1), wrong: true}).is(413)
	s.send(request{method: "POST", path: "/integrations", body: padded(1 << 20), wrong: true}).is(422)
	test := "/integrations/crm/endpoints/list/test"
	s.send(request{method: "POST", path: test, body: padded(256<<10 + 1), wrong: true}).is(413)
	s.send(request{method: "POST", path: test, body: padded(256 << 10), wrong: true}).is(422)
}

func TestOnlyJSONIsRead(t *testing.T) {
	t.Parallel()
	s := serve(t)
	body := `{"name":"ok1","display_name":"X","base_url":"https://a.example"}`
	for _, header := range []map[string]string{
		{"Content-Type": "text/plain"},
		{"Content-Type": ""},
		{"Content-Type": "application/x-www-form-urlencoded"},
		{"Content-Type": "application/jsonx"},
		{"Content-Type": "application/json, text/html"},
		{"Content-Type": "application/problem+json"},
		{"Content-Encoding": "gzip"},
		{"Content-Encoding": "br"},
	} {
		s.send(request{method: "POST", path: "/integrations", body: body, header: header, wrong: true}).is(415)
	}
	require.Zero(t, s.head())
	s.send(request{method: "POST", path: "/integrations", body: body, header: map[string]string{"Content-Type": "Application/JSON; charset=utf-8", "Accept-Encoding": "br, gzip;q=0"}}).is(201)
}

func TestAWorkspaceIdIsLettersDigitsHyphensAndUnderscores(t *testing.T) {
	t.Parallel()
	s := serve(t)
	operator := s.issue("", "Workspace.admin")
	for _, w := range []string{
		"a.b", ".", "..", "*", ">", "a*", "%3E", "a%20b", "%20", "a%2Fb", "a%00b", "%C3%A9", "a%0A", strings.Repeat("a", 65), "a$b", "a%25b", "~", "%2e%2e", "a+b", "a;b",
	} {
		for _, path := range []string{"/integrations", "/integrations/crm", "/api-keys", "/integrations/health-check"} {
			got := s.send(request{method: "GET", path: "/v1/" + w + path, key: operator, wrong: true})
			require.Contains(t, []int{404, 422}, got.status, "%s: %s", w, got.text)
			if got.status == 422 {
				require.Equal(t, "workspace_invalid", got.json["code"])
			}
		}
	}
	for _, w := range []string{"a", strings.Repeat("a", 64), "A-b_9", "01989d2c-7a5e-7c1f-9a60-0f7b6c1d2e3f"} {
		s.send(request{method: "GET", path: "/v1/" + w + "/integrations", key: operator}).is(200)
	}
}

func TestAMalformedIdIsAnUnknownIntegration(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, id := range []string{
		"%00", "*", "%3E", "a.b", "a%20b", "%C3%A9", "%FF", strings.Repeat("a", 5000), "'%20OR%201=1", "..%2f..", "a%2Fhistory", "crm%2Fhistory", "%2e%2e",
		"00000000-0000-0000-0000-000000000000", "ZZ", "-", "crm;x", "%252e",
	} {
		got := s.send(request{method: "GET", path: "/integrations/" + id, wrong: true}).is(404)
		require.Equal(t, "integration_not_found", got.json["code"], id)
		s.send(request{method: "DELETE", path: "/integrations/" + id, wrong: true}).is(404)
		s.send(request{method: "GET", path: "/integrations/" + id + "/history", wrong: true}).is(404)
		s.send(request{method: "DELETE", path: "/api-keys/" + id, wrong: true}).is(404, "api_key_not_found")
	}
	require.Zero(t, s.head())
}

func TestAMalformedQueryIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for query, at := range map[string]string{
		"limit=0": "/limit", "limit=201": "/limit", "limit=-1": "/limit", "limit=1.5": "/limit", "limit=": "/limit", "limit=x": "/limit", "limit=99999999999999999999": "/limit",
		"limit=1&limit=2": "/limit", "enabled=1": "/enabled", "enabled=": "/enabled", "enabled=TRUE": "/enabled", "builtin=x": "/builtin",
		"protocol=soap": "/protocol", "protocol=REST": "/protocol", "protocol=": "/protocol", "sort_by=id": "/sort_by", "sort_by=--name": "/sort_by", "sort_by=": "/sort_by",
		"search=": "/search", "search=%FF": "/search", "search=%ZZ": "", "a;b": "",
	} {
		got := s.send(request{method: "GET", path: "/integrations?" + query, wrong: true}).is(422)
		require.Equal(t, []string{at}, got.pointers(), query)
	}
	s.send(request{method: "GET", path: "/integrations?search=" + strings.Repeat("a", 201), wrong: true}).is(422)
	s.get("/integrations?search=" + strings.Repeat("%C3%A4", 200)).is(200)
	both := s.send(request{method: "GET", path: "/integrations?limit=0&enabled=x", wrong: true}).is(422, "validation_failed")
	require.ElementsMatch(t, []string{"/limit", "/enabled"}, both.pointers())
	for _, age := range []string{"-1", "x", "86400001"} {
		s.send(request{method: "GET", path: "/integrations/health-check?max_age_ms=" + age, wrong: true}).is(422)
	}
}

func TestAnUnknownRouteIsNotFound(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, path := range []string{
		"/v1", "/v1/acme", "/v1/acme/", "/v1/acme/integrations/", "/v1/acme/integrations/crm/", "/v2/acme/integrations", "/v1/acme/integrations/crm/history/",
		"/V1/acme/integrations", "//v1/acme/integrations", "/v1/acme//integrations", "/v1/acme/../acme/integrations", "/livez/", "/debug/pprof/", "/v1/acme/integrations/crm/endpoints/list",
		"/v1/acme/webhooks", "/v1/acme/%69ntegrations",
	} {
		got := s.send(request{method: "GET", path: path, wrong: true})
		require.Contains(t, []int{404, 405}, got.status, "%s: %s", path, got.text)
		require.Empty(t, got.header.Get("Location"), path)
	}
	for _, r := range []struct{ method, path, allow string }{
		{"PATCH", "/integrations/crm", "DELETE"},
		{"POST", "/integrations/crm", "GET"},
		{"DELETE", "/integrations", "POST"},
		{"OPTIONS", "/integrations", "GET"},
		{"PUT", "/integrations", "GET"},
		{"TRACE", "/integrations", "GET"},
		{"GET", "/integrations/crm/test-connection", "POST"},
		{"QUERY", "/livez", "GET"},
	} {
		got := s.send(request{method: r.method, path: r.path, wrong: true}).is(405, "method_not_allowed")
		require.Contains(t, got.header.Get("Allow"), r.allow, "%s %s", r.method, r.path)
	}
}

func TestOversizeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	s := serve(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/v1/acme/integrations", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+strings.Repeat("a", 2<<20))
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 431, resp.StatusCode)
	s.send(request{method: "GET", path: "/integrations", key: strings.Repeat("a", 10_000)}).is(401)
	s.send(request{method: "GET", path: "/integrations", header: map[string]string{"If-None-Match": strings.Repeat(`"v1",`, 10_000)}}).is(200)
}

func TestAnEnormousNumberIsRefusedInTime(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.create(rest("crm", "https://a.example", members{"endpoints": []any{endpoint("list", members{"input_schema": members{"properties": members{"n": members{"maximum": 1, "multipleOf": 0.5}}}})}}))
	for _, number := range []string{"1e999999999", "-1e999999999", "1e-999999999", "1" + strings.Repeat("0", 100_000), "1e308", "1e-300", "0." + strings.Repeat("0", 100_000) + "1"} {
		s.send(request{method: "POST", path: "/integrations", wrong: true, body: `{"name":"n1","display_name":"X","base_url":"https://a.example","health_check":{"expect_status":` + number + `}}`}).is(422)
		got := s.send(request{method: "POST", path: "/integrations?dry_run=true", wrong: true, body: `{"name":"n1","display_name":"X","base_url":"https://a.example","endpoints":[{"name":"a","description":"a","path":"","input_schema":{"maximum":` + number + `}}]}`})
		require.Less(t, got.status, 500, got.text)
		got = s.send(request{method: "POST", path: "/integrations/crm/endpoints/list/test", wrong: true, body: `{"dry_run":true,"params":{"n":` + number + `}}`})
		require.Less(t, got.status, 500, got.text)
	}
}
