package transport_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestATestOfAnEndpointShowsEachStep(t *testing.T) {
	t.Parallel()
	u := listen(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/broken" {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(`{"message":"no"}`))
			return
		}
		_, _ = w.Write([]byte(`{"data":{"slots":[{"at":"9"},{"at":"10"}],"more":1},"noise":true}`))
	})
	s := serve(t)
	schema := members{"type": "object", "properties": members{"day": members{"type": "string"}, "n": members{"type": "integer"}}, "required": []string{"day"}, "additionalProperties": false}
	s.create(rest("crm", u.url, members{"enabled": false, "auth": members{"api_key_value": "k3y-of-the-crm"}, "endpoints": []any{
		endpoint("slots", members{
			"path": "/d/{day}/slots", "input_schema": schema, "response_filter": []string{"data"}, "response_mapping": members{"times": "data.slots[].at"},
			"result_key": "times", "result_template": "Free: {{ [0] }}", "max_result_length": 100,
		}),
		endpoint("broken"),
		endpoint("away", members{"base_url": nil, "retry_config": members{"max_retries": 0}}),
	}}))
	test := "/integrations/crm/endpoints/slots/test"
	got := s.post(test, members{"params": members{"day": "mon", "n": 2}}).is(200)
	require.Nil(t, got.at("error"))
	require.InDelta(t, 200, got.at("status_code"), 0)
	require.Equal(t, true, got.at("raw_response", "noise"))
	require.NotContains(t, got.at("after_filter"), "noise")
	require.Equal(t, []any{"9", "10"}, got.at("after_mapping", "times"))
	require.Equal(t, "Free: 9", got.at("final_result"))
	require.Equal(t, u.url+"/d/mon/slots?n=2", got.at("request", "url"))
	require.Equal(t, "k3y-of-the-crm", u.last(t).Header.Get("X-Api-Key"))
	require.NotContains(t, got.text, "k3y-of-the-crm")
	sent := len(u.requests())

	dry := s.post(test, members{"params": members{"day": "mon"}, "dry_run": true}).is(200)
	require.Equal(t, u.url+"/d/mon/slots", dry.at("request", "url"))
	require.Nil(t, dry.at("status_code"))
	for params, at := range map[string][]string{
		`{"params":{}}`:                      {"/params/day"},
		``:                                   {"/params/day"},
		`{}`:                                 {"/params/day"},
		`{"params":null}`:                    {"/params/day"},
		`{"params":{"day":1,"n":"x","o":1}}`: {"/params/day", "/params/n", "/params/o"},
		`{"params":{"day":".."}}`:            {"/params/day"},
		`{"params":[],"dry_run":"yes","parametres/":1}`: {"/params", "/dry_run", "/parametres~1"},
	} {
		r := request{method: "POST", path: test, body: params, wrong: true}
		if params == "" {
			r.body = nil
		}
		require.ElementsMatch(t, at, s.send(r).is(422).pointers(), params)
	}
	require.Len(t, u.requests(), sent, "a refused test and a dry run send nothing")

	failed := s.post("/integrations/crm/endpoints/broken/test", nil).is(200)
	require.Equal(t, "upstream_error", failed.at("error_code"))
	require.InDelta(t, 500, failed.at("status_code"), 0)
	require.NotEmpty(t, failed.at("error"))
	s.post("/integrations/crm/endpoints/nothing/test", nil).is(404, "endpoint_not_found")
	s.post("/integrations/crm/endpoints/Slots/test", nil).is(404, "endpoint_not_found")
	s.post("/integrations/nothing/endpoints/slots/test", nil).is(404, "integration_not_found")

	s.put("/integrations/crm", members{"base_url": closedPort(t), "auth": members{"api_key_value": "k"}}).is(200)
	away := s.post("/integrations/crm/endpoints/away/test", nil).is(200)
	require.Equal(t, "unreachable", away.at("error_code"))
	require.Nil(t, away.at("status_code"))
}

func TestAForbiddenDestinationIsNeverCalled(t *testing.T) {
	t.Parallel()
	u := listen(t, nil)
	s := serve(t, func(set *settings) { set.noLoopback = true })
	for name, base := range map[string]string{"loopback": u.url, "metadata": "http://169.254.169.254/latest", "name": "http://localhost"} {
		s.create(rest(name, base, members{"endpoints": []any{endpoint("list", members{"retry_config": members{"max_retries": 0}})}}))
		got := s.post("/integrations/"+name+"/endpoints/list/test", nil).is(200)
		require.Equal(t, "blocked_destination", got.at("error_code"), got.text)
		require.Equal(t, "misconfigured", s.post("/integrations/"+name+"/test-connection", nil).is(200).at("status"), name)
	}
	require.Empty(t, u.requests())
	// The service itself is not a valid destination, even where loopback is allowed.
	own := serve(t)
	own.create(rest("self", own.url, members{"endpoints": []any{endpoint("livez")}}))
	require.Equal(t, "blocked_destination", own.post("/integrations/self/endpoints/livez/test", nil).is(200).at("error_code"))
}

func TestListingsShowTheTestOfAConnection(t *testing.T) {
	t.Parallel()
	u := listen(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer right" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	s := serve(t)
	created := s.post("/integrations", rest("crm", u.url, members{"auth": members{"bearer_token_value": "wrong"}, "enabled": false})).is(201)
	require.Nil(t, created.at("last_test_status"))
	seen := s.post("/integrations/crm/test-connection", nil).is(200)
	require.Equal(t, "auth_failed", seen.at("status"))
	require.InDelta(t, 401, seen.at("http_status"), 0)
	got := s.get("/integrations/crm").is(200)
	require.Equal(t, "auth_failed", got.at("last_test_status"))
	require.Equal(t, seen.at("tested_at"), got.at("last_tested_at"))
	require.Equal(t, seen.at("message"), got.at("last_test_message"))
	got.tagged(1)
	require.Equal(t, created.at("updated_at"), got.at("updated_at"))
	require.Equal(t, "auth_failed", s.get("/integrations?search=crm").is(200).at("items", 0, "last_test_status"))

	changed := s.put("/integrations/crm", members{"auth": members{"bearer_token_value": "right"}}).is(200)
	require.Equal(t, "auth_failed", changed.at("last_test_status"), "until it is tested again")
	require.Equal(t, "healthy", s.post("/integrations/crm/test-connection", nil).is(200).at("status"))
	require.Equal(t, "healthy", s.get("/integrations/crm").is(200).at("last_test_status"))
	require.Equal(t, uint64(2), s.head())
	s.post("/integrations/nothing/test-connection", nil).is(404)
}

func TestAConnectionCanBeTestedBeforeItIsSaved(t *testing.T) {
	t.Parallel()
	u := listen(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer right" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	elsewhere := listen(t, nil)
	s := serve(t)
	id := s.create(rest("crm", u.url, members{"auth": members{"bearer_token_value": "right"}}))
	before := s.head()
	try := func(doc members) reply { return s.post("/integrations/test-connection", doc) }
	require.Equal(t, "healthy", try(members{"base_url": u.url, "auth": members{"bearer_token_value": "right"}}).is(200).at("status"))
	require.Equal(t, "auth_failed", try(members{"base_url": u.url, "auth": members{"bearer_token_value": "other"}}).is(200).at("status"))
	require.Equal(t, "unreachable", try(members{"base_url": closedPort(t)}).is(200).at("status"))
	require.Equal(t, "healthy", try(members{"id": id}).is(200).at("status"), "everything is stored")
	require.Equal(t, "healthy", try(members{"id": "crm", "name": "crm", "base_url": u.url + "/v2"}).is(200).at("status"), "the secret is stored")
	require.Equal(t, "auth_failed", try(members{"id": id, "auth": members{"bearer_token_value": "other"}}).is(200).at("status"))
	try(members{"id": id, "base_url": elsewhere.url}).is(422, "secret_required")
	try(members{"id": "nothing"}).is(404)
	try(members{"id": "google-maps"}).is(409, "builtin")
	s.send(request{method: "POST", path: "/integrations/test-connection", body: members{"base_url": u.url, "auth": members{"type": "bearer_token"}}}).is(422, "required")
	s.send(request{method: "POST", path: "/integrations/test-connection", body: members{}, wrong: true}).is(422)
	require.Equal(t, before, s.head())
	require.Empty(t, elsewhere.requests())
	require.Nil(t, s.get("/integrations/crm").at("last_test_status"))
}
