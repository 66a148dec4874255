package transport_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/internal/authservertest"
)

func TestAuthorizationsAreListedByStateSubjectAccountAndIntegration(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	s := serve(t)
	s.create(consenting(as, nil))
	for n := range 5 {
		as.Do(func() { as.Account = fmt.Sprint("account-", n%2) })
		s.signIn(members{"subject": fmt.Sprint("user-", n)})
	}
	s.link(members{"subject": "user-5"})
	subjects := func(path string) (all []string, total any) {
		t.Helper()
		for token := ""; ; {
			got := s.get(path + "&limit=2&continuation_token=" + token).is(200)
			items, _ := got.at("items").([]any)
			for n := range items {
				all = append(all, got.at("items", n, "subject").(string))
			}
			if total = got.at("total"); got.at("has_more") == false {
				return all, total
			}
			token, _ = got.at("continuation_token").(string)
		}
	}
	for path, want := range map[string][]string{
		"/integrations/notes/authorizations?":                                               {"user-5", "user-4", "user-3", "user-2", "user-1", "user-0"},
		"/integrations/notes/authorizations?state=authorized":                               {"user-4", "user-3", "user-2", "user-1", "user-0"},
		"/integrations/notes/authorizations?state=none":                                     {"user-5"},
		"/integrations/notes/authorizations?account=account-1":                              {"user-3", "user-1"},
		"/integrations/notes/authorizations?subject=user-3":                                 {"user-3"},
		"/v1/acme/authorizations?subject=user-3":                                            {"user-3"},
		"/v1/acme/authorizations?integration_id=notes&state=authorized&account=account-0":   {"user-4", "user-2", "user-0"},
		"/v1/acme/authorizations?integration_id=other":                                      nil,
		"/integrations/notes/authorizations?state=reauthorization_required":                 nil,
		"/integrations/notes/authorizations?other_client=true":                              nil,
		"/integrations/notes/authorizations?state=authorized&subject=user-5&account=nobody": nil,
	} {
		got, total := subjects(path)
		require.Equal(t, want, got, path)
		require.Equal(t, fmt.Sprint(len(want)), fmt.Sprint(total), path)
	}
	dry := s.send(request{method: "PUT", path: "/integrations/notes?dry_run=true", body: members{"auth": members{"client_id": "next", "client_secret_value": as.Secret}}}).is(200)
	require.Equal(t, "5", fmt.Sprint(dry.at("authorizations_with_other_client")))
	s.put("/integrations/notes", members{"auth": members{"client_id": "next", "client_secret_value": as.Secret}}).is(200)
	got, _ := subjects("/integrations/notes/authorizations?other_client=true")
	require.Len(t, got, 5)
	require.Equal(t, "account-0", s.calledAs("user-0").at("raw_response", "account"), "it keeps its client")

	s.put("/integrations/notes", members{"base_url": as.URL + "/api/", "auth": members{"resource": "https://other.example.com"}}).is(200)
	got, _ = subjects("/integrations/notes/authorizations?state=reauthorization_required")
	require.Len(t, got, 5, "nobody has consented to that")
	got, _ = subjects("/integrations/notes/authorizations?state=authorized")
	require.Empty(t, got)

	s.get("/integrations/notes/authorizations?continuation_token=x").is(422, "token_mismatch")
	s.send(request{method: "GET", path: "/v1/acme/authorizations?subject=%20x&state=y", wrong: true}).is(422)
	narrow := s.send(request{method: "GET", path: "/v1/acme/authorizations", key: s.issue("acme", access.View)}).is(403)
	require.Contains(t, narrow.text, "Connection.authorize")
}

func TestALossIsAnEventInHistoryFeedStreamAndWebhooksOnTheEdgeOnly(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	s := serve(t)
	hook := hooked(t)
	s.post("/webhook-destinations", members{"url": hook.url, "event_types": []string{"integration.authorization_lost", "integration.authorization_restored"}}).is(201)
	s.create(consenting(as, nil))
	live := s.listen(s.key, "0")
	s.signIn(members{"subject": "amy"})
	as.EndAll(true)
	for range 3 {
		require.Equal(t, "authorization_required", s.calledAs("amy").at("error_code"))
	}
	s.signIn(members{"subject": "amy"})
	want := []string{
		"integration.created", "integration.authorization_started", "integration.authorized", "integration.authorization_lost",
		"integration.authorization_started", "integration.authorization_restored",
	}
	types := func(got reply) (all []string) {
		items, _ := got.at("items").([]any)
		for n := range items {
			all = append(all, got.at("items", n, "type").(string))
		}
		return all
	}
	without := func(all []string) []string { // the links that calls have made beside are no matter
		var kept []string
		for n, one := range all {
			if n == 0 || one != all[n-1] || one != "integration.authorization_started" {
				kept = append(kept, one)
			}
		}
		return kept
	}
	history := s.get("/integrations/notes/history").is(200)
	require.Equal(t, want, without(types(history)))
	require.Equal(t, want, without(types(s.get("/integrations/events").is(200))))
	require.Equal(t, []string{"integration.authorization_lost"}, types(s.get("/integrations/events?type=integration.authorization_lost").is(200)))
	newest := types(s.get("/integrations/events?order=newest&integration_id=notes&limit=1").is(200))
	require.Equal(t, []string{"integration.authorization_restored"}, newest)
	lost := s.get("/integrations/events?type=integration.authorization_lost").at("items", 0)
	text, err := json.Marshal(lost)
	require.NoError(t, err)
	require.Contains(t, string(text), `"reason":"refused"`)
	require.Contains(t, string(text), `"actor":"system"`)
	asked, err := json.Marshal(s.get("/integrations/events?type=integration.authorization_started").at("items", 0))
	require.NoError(t, err)
	require.NotContains(t, string(asked), `"request_id":null`)
	require.NotContains(t, string(text), "amy", "whose it is, is not for everybody who may read events")
	shown := s.get("/integrations/notes/authorizations/amy").is(200)
	require.Contains(t, string(text), fmt.Sprintf(`"id":"%s"`, shown.at("id")))

	var paged []string
	for token := ""; ; {
		got := s.get("/integrations/notes/history?limit=1&continuation_token=" + token).is(200)
		paged = append(paged, types(got)...)
		if token, _ = got.at("continuation_token").(string); got.at("has_more") == false {
			break
		}
	}
	require.Equal(t, types(history), paged)

	var streamed []string
	for len(without(streamed)) < len(want) {
		name, _, ok := live.next()
		require.True(t, ok)
		streamed = append(streamed, name)
	}
	require.Equal(t, want, without(streamed))

	for _, kind := range []string{"integration.authorization_lost", "integration.authorization_restored"} {
		body := hook.next(t)
		require.Contains(t, body, `"type":"`+kind+`"`)
		require.Contains(t, body, `"subject":"amy"`)
	}
}

// A hook receives webhooks.
type hook struct {
	url    string
	bodies chan string
}

func hooked(t *testing.T) hook {
	t.Helper()
	h := hook{bodies: make(chan string, 16)}
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		h.bodies <- string(body)
	}))
	t.Cleanup(srv.Close)
	h.url = srv.URL
	return h
}

func (h hook) next(t *testing.T) string {
	t.Helper()
	select {
	case body := <-h.bodies:
		return body
	case <-t.Context().Done():
		t.Fatal("there is no webhook")
	}
	return ""
}

func TestTokensAreImportedOverHTTP(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	s := serve(t)
	s.create(consenting(as, nil))
	at := "/integrations/notes/authorizations/import"
	got := s.post(at, members{"subject": "amy", "refresh_token": as.Grant(), "account": "amy"}).is(201)
	require.Equal(t, "authorized", got.at("state"))
	require.Equal(t, false, got.at("unproven"))
	require.Equal(t, "amy", s.calledAs("amy").at("raw_response", "account"))
	require.Equal(t, true, s.post(at, members{"subject": "bob", "access_token": "at-x", "expires_at": "2030-01-01T00:00:00Z", "scopes": "read"}).is(201).at("unproven"))
	s.post(at, members{"subject": "eve", "refresh_token": "rt-unknown"}).is(409, "token_refused")
	require.Equal(t, "none", s.get("/integrations/notes/authorizations/eve").at("state"))
	for _, wrong := range []members{{}, {"subject": "-", "access_token": "x"}, {"access_token": 1}, {"access_token": "x", "expires_at": "soon"}, {"refresh_token": "x", "more": 1}} {
		s.send(request{method: "POST", path: at, body: wrong, wrong: true}).is(422)
	}
	for name, wrong := range map[string]string{"access_token": "at\r\nX-Evil: 1", "refresh_token": " rt"} {
		refused := s.send(request{method: "POST", path: at, body: members{"subject": "cid", name: wrong}}).is(422, "header_invalid")
		require.Equal(t, "/"+name, refused.at("errors", 0, "pointer"))
	}
	require.NotContains(t, s.log.String(), "rt-unknown")
}
