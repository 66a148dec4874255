package transport_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/authservertest"
)

// hostApplication is the application that a person comes from, and goes back to.
func hostApplication(t *testing.T) (at string, back func() url.Values) {
	t.Helper()
	came := make(chan url.Values, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		came <- r.URL.Query()
		_, _ = w.Write([]byte("welcome back"))
	}))
	t.Cleanup(srv.Close)
	return srv.URL, func() url.Values {
		t.Helper()
		select {
		case q := <-came:
			return q
		default:
			t.Fatal("nobody came back")
			return nil
		}
	}
}

func TestAPersonGoesBackToTheHostApplication(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	app, back := hostApplication(t)
	s := serve(t, func(set *settings) { set.returnOrigin = app })
	s.create(consenting(as, nil))
	b := newBrowser(t)
	status, text, header := b.confirm(s.link(members{"return_url": app + "/done?a=b", "subject": "amy"}))
	require.Equal(t, 200, status)
	require.Equal(t, "welcome back", text)
	require.Empty(t, header.Get("Referer"))
	require.Equal(t, url.Values{"a": {"b"}, "authorization_state": {"succeeded"}}, back(), "no code and no token")
	require.Equal(t, "amy", s.calledAs("amy").at("raw_response", "account"))

	as.Do(func() {
		as.Back = func(_, answer url.Values) { answer.Del("code"); answer.Set("error", "access_denied") }
	})
	_, _, _ = b.confirm(s.link(members{"return_url": app, "subject": "amy"}))
	require.Equal(t, "denied", back().Get("authorization_state"))
	require.Equal(t, "amy", s.calledAs("amy").at("raw_response", "account"), "what there is stays")

	for wrong, code := range map[string]string{
		"https://evil.example": "return_url_refused", app + ".evil.example": "url_invalid", app + "@evil.example": "url_invalid", "javascript:alert(1)": "url_invalid", "/done": "url_invalid",
		"http://evil.example": "url_invalid", app + "#x": "url_invalid", app + "/?confirmation_code=forged": "url_invalid", app + "/?a=1&authorization_state=authorized": "url_invalid", app + "/?confirmation%5Fcode=forged": "url_invalid", app + "/?a;confirmation_code=x": "url_invalid", "http://127.0.0.1:1": "return_url_refused", "": "",
	} {
		start := request{method: "POST", path: "/integrations/notes/authorizations", body: members{"return_url": wrong}}
		if code == "" {
			s.send(start).is(201)
			continue
		}
		require.Equal(t, "/return_url", s.send(start).is(422, code).at("errors", 0, "pointer"), wrong)
	}
	s.send(request{method: "POST", path: "/integrations/notes/authorizations", body: members{"confirm": true}}).is(422, "return_url_missing")
}

func TestTokensAreHeldUntilTheHostApplicationConfirmsWhoHasSignedIn(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	app, back := hostApplication(t)
	s := serve(t, func(set *settings) { set.returnOrigin = app })
	s.create(consenting(as, nil))
	confirm := func(subject, code string) reply {
		return s.send(request{method: "POST", path: "/integrations/notes/authorizations/" + subject + "/confirm", body: members{"code": code}})
	}
	// Eve starts for herself, and has Amy consent.
	b := newBrowser(t)
	_, _, _ = b.confirm(s.link(members{"return_url": app, "confirm": true, "subject": "eve"}))
	q := back()
	require.Equal(t, "unconfirmed", q.Get("authorization_state"))
	code := q.Get("confirmation_code")
	require.NotEmpty(t, code)
	require.Equal(t, "authorization_required", s.calledAs("eve").at("error_code"), "the tokens are held")
	shown := s.get("/integrations/notes/authorizations/eve").is(200)
	require.Equal(t, "none", shown.at("state"))
	confirm("amy", code).is(409, "other_subject") // by the session of the browser that came back
	confirm("-", code).is(409, "other_subject")
	require.Equal(t, "authorization_required", s.calledAs("amy").at("error_code"))
	require.Equal(t, "authorization_required", s.calledAs("eve").at("error_code"))

	// Amy starts for herself.
	s.signInWith(b, members{"return_url": app, "confirm": true, "subject": "amy"})
	code = back().Get("confirmation_code")
	confirm("amy", code+"x").is(409, "confirmation_invalid")
	confirmed := confirm("amy", code).is(200)
	require.Equal(t, "authorized", confirmed.at("state"))
	require.Equal(t, "succeeded", confirmed.at("attempt", "state"))
	confirm("amy", code).is(409, "confirmation_invalid")
	require.Equal(t, "amy", s.calledAs("amy").at("raw_response", "account"))
	require.NotContains(t, s.log.String(), code, "no code in the log")

	as.Do(func() { as.Account = "bob" })
	s.signInWith(b, members{"return_url": app, "confirm": true, "subject": "amy"})
	confirm("amy", back().Get("confirmation_code")).is(409, "other_account")
	require.Equal(t, "failed", s.get("/integrations/notes/authorizations/amy").at("attempt", "state"))
	require.Equal(t, "amy", s.calledAs("amy").at("raw_response", "account"))
}

// signInWith follows a link, wherever it leads.
func (s *service) signInWith(b browser, body members) {
	s.t.Helper()
	status, text, _ := b.confirm(s.link(body))
	require.Equal(s.t, 200, status, text)
}

// sited is an authorization server whose accounts have two sites.
func sited(t *testing.T) (*authservertest.Server, members) {
	t.Helper()
	as := authservertest.New(t)
	as.API = func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/api/sites" {
			_, _ = w.Write([]byte(`[{"id": "s1", "name": "<b>One</b>"}, {"id": "s2", "name": "Two"}]`))
			return true
		}
		_, _ = w.Write([]byte(`{"site": "` + r.Header.Get("X-Site") + `", "path": "` + r.URL.Path + `"}`))
		return true
	}
	doc := consenting(as, members{
		"identity_call": members{"url": as.URL + "/api/sites"}, "capture": members{"site": members{"from": "call", "path": "[*].id", "label": "name"}},
	})
	doc["base_url"], doc["headers"] = as.URL+"/api/{account.site}", members{"X-Site": "{account.site}"}
	return as, doc
}

func TestAPersonChoosesAmongTheSitesOfTheirAccount(t *testing.T) {
	t.Parallel()
	_, doc := sited(t)
	s := serve(t)
	s.create(doc)
	probe := s.send(request{method: "POST", path: "/integrations/notes/test-connection"}).is(200)
	require.Equal(t, "healthy", probe.at("status"), probe.text)
	b := newBrowser(t)
	back := b.until("/oauth/callback", s.link(nil))
	status, text, _ := b.get(back)
	require.Equal(t, 200, status)
	require.Contains(t, text, `<input type="radio" name="site" value="s1" required> &lt;b&gt;One&lt;/b&gt;`)
	require.Equal(t, "authorization_required", s.calledAs("").at("error_code"))

	choose := func(b browser, site string) (int, string) {
		t.Helper()
		resp, err := b.PostForm(back, url.Values{"site": {site}}) // the form has the address of the page
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		return resp.StatusCode, resp.Request.URL.Path
	}
	status, _ = choose(newBrowser(t), "s2")
	require.Equal(t, 409, status, "another browser")
	status, _ = choose(b, "s3")
	require.Equal(t, 422, status)
	status, _ = choose(b, "s2")
	require.Equal(t, 200, status)
	require.Equal(t, map[string]any{"site": "s2", "path": "/api/s2/list"}, s.calledAs("").at("raw_response"))
	shown := s.get("/integrations/notes/authorizations/-").is(200)
	require.Equal(t, map[string]any{"site": "s2"}, shown.at("captured"))
	require.Equal(t, "<b>One</b>", shown.at("choices", "site", 0, "label"))

	change := request{method: "PUT", path: "/integrations/notes/authorizations/-", body: members{"account": members{"site": "s1"}}}
	s.send(change).is(200)
	require.Equal(t, map[string]any{"site": "s1", "path": "/api/s1/list"}, s.calledAs("").at("raw_response"))
	probe = s.send(request{method: "POST", path: "/integrations/notes/test-connection"}).is(200)
	require.Equal(t, true, probe.at("auth_resolved"))
	change.body = members{"account": members{"site": "s9"}}
	require.Equal(t, "/account/site", s.send(change).is(422, "account_value_refused").at("errors", 0, "pointer"))
	s.send(request{method: "PUT", path: "/integrations/notes/authorizations/nobody", body: members{"account": members{"site": "s1"}}}).is(404, "authorization_not_found")
	change.key = s.issue("acme", access.Authorize)
	s.send(change).is(403, "forbidden")
}

func TestAKeyActsForItsSubjectsOnly(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	s := serve(t)
	s.create(consenting(as, nil))
	s.create(rest("plain", as.URL, members{"endpoints": []any{endpoint("list")}}))
	for _, subject := range []string{"user-1", "user-2", "admin"} {
		s.signIn(members{"subject": subject})
	}
	s.signIn(nil)
	keyOf := func(subjects ...string) string {
		return s.narrowed(domain.Scope{Subjects: subjects}, access.Invoke, access.ActFor, access.Authorize, access.Update, access.View, access.ManageKeys)
	}
	call := func(key, subject string) int {
		r := request{method: "POST", path: "/integrations/notes/endpoints/list/invoke", body: members{}, key: key}
		if subject != "" {
			r.header = map[string]string{"X-On-Behalf-Of": subject}
		}
		return s.send(r).status
	}
	users, one, own := keyOf("user-*"), keyOf("user-1"), keyOf("-")
	for _, row := range []struct {
		key, subject string
		want         int
	}{
		{users, "user-1", 200},
		{users, "user-2", 200},
		{users, "admin", 403},
		{users, "", 403},
		{users, "user", 403},
		{one, "user-1", 200},
		{one, "user-11", 403},
		{one, "", 403},
		{own, "", 200},
		{own, "user-1", 403},
	} {
		require.Equal(t, row.want, call(row.key, row.subject), row.subject)
	}
	for _, r := range []request{
		{method: "POST", path: "/integrations/notes/authorizations", body: members{"subject": "admin"}},
		{method: "POST", path: "/integrations/notes/authorizations", body: members{}},
		{method: "GET", path: "/integrations/notes/authorizations/admin"},
		{method: "GET", path: "/integrations/notes/authorizations/-"},
		{method: "DELETE", path: "/integrations/notes/authorizations/admin"},
		{method: "POST", path: "/integrations/notes/authorizations/admin/confirm", body: members{"code": "x"}},
		{method: "PUT", path: "/integrations/notes/authorizations/admin", body: members{"account": members{}}},
		{method: "POST", path: "/integrations/notes/test-connection"},
		{method: "POST", path: "/integrations/notes/endpoints/list/test", body: members{}},
	} {
		r.key = users
		s.send(r).is(403, "forbidden")
	}
	for _, path := range []string{"/integrations/notes/authorizations", "/v1/acme/authorizations"} { // whose total would count others
		require.Len(t, s.send(request{method: "GET", path: path + "?subject=user-1", key: users}).is(200).at("items"), 1)
		require.Len(t, s.send(request{method: "GET", path: path + "?subject=-", key: own}).is(200).at("items"), 1)
		for _, q := range []string{"", "?subject=admin", "?subject=-", "?account=x"} {
			s.send(request{method: "GET", path: path + q, key: users, wrong: true}).is(422, "not_allowed")
		}
	}
	s.send(request{method: "GET", path: "/integrations/notes/authorizations/user-1", key: one}).is(200)
	var used []any
	calls, _ := s.get("/integrations/notes/calls").is(200).at("items").([]any)
	for n := range calls {
		used = append(used, s.get("/integrations/notes/calls").at("items", n, "authorization"))
	}
	require.Contains(t, used, s.get("/integrations/notes/authorizations/user-2").at("id"), "the record names who was acted for")
	require.NotContains(t, used, s.get("/integrations/notes/authorizations/admin").at("id"))
	plain := request{method: "POST", path: "/integrations/plain/endpoints/list/invoke", body: members{}, key: users}
	s.send(plain).is(200) // which uses nobody's tokens

	issue := func(key string, subjects any) reply {
		return s.send(request{method: "POST", path: "/api-keys", key: key, body: members{"name": "n", "permissions": []string{"Integration.invoke"}, "subjects": subjects}})
	}
	require.Equal(t, []any{"user-7"}, issue(users, []string{"user-7"}).is(201).at("subjects"))
	require.Equal(t, []any{"user-7*"}, issue(users, []string{"user-7*"}).is(201).at("subjects"))
	for _, wider := range []any{nil, []string{"*"}, []string{"user*"}, []string{"-"}, []string{"user-1", "x"}} {
		issue(users, wider).is(403, "forbidden")
	}
	for _, wrong := range []string{"", " x", "a*b", "**"} {
		s.send(request{method: "POST", path: "/api-keys", body: members{"name": "n", "permissions": []string{"Integration.invoke"}, "subjects": []string{wrong}}, wrong: true}).is(422)
	}
	for _, p := range []string{"Workspace.admin", "Call.read_bodies", "Approval.decide"} {
		s.send(request{method: "POST", path: "/api-keys", body: members{"name": "n", "permissions": []string{p}, "subjects": []string{"x"}}}).is(422)
	}
}
