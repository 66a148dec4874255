package transport_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/internal/authservertest"
)

// consenting returns an integration that a person must sign in to, at an authorization
// server.
func consenting(as *authservertest.Server, more members) members {
	auth := members{
		"type": "oauth2_authorization_code", "client_id": "us", "client_secret_value": as.Secret, "client_auth_method": as.Method,
		"authorization_url": as.URL + "/authorize", "token_url": as.URL + "/token", "revocation_url": as.URL + "/revoke", "scopes": []string{"read"},
	}
	for name, value := range more {
		auth[name] = value
	}
	return rest("notes", as.URL+"/api", members{"auth": auth, "endpoints": []any{endpoint("list")}})
}

// A browser follows redirects and keeps cookies, as a person's does.
type browser struct {
	t *testing.T
	*http.Client
}

func newBrowser(t *testing.T) browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return browser{t, &http.Client{Jar: jar}}
}

func (b browser) get(at string, header ...string) (int, string, http.Header) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, at, nil)
	require.NoError(b.t, err)
	if len(header) == 2 {
		r.Header.Set(header[0], header[1])
	}
	return b.do(r)
}

func (b browser) do(r *http.Request) (int, string, http.Header) {
	b.t.Helper()
	resp, err := b.Do(r)
	require.NoError(b.t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(b.t, err)
	return resp.StatusCode, string(text), resp.Header
}

// confirm presses the button of our page.
func (b browser) confirm(at string) (int, string, http.Header) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, at, nil)
	require.NoError(b.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(r)
}

// until stops a browser before it follows a redirect to a path, and returns where to.
func (b browser) until(path string, at string) string {
	b.t.Helper()
	var to string
	stopped := browser{b.t, &http.Client{Jar: b.Jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if to = r.URL.String(); r.URL.Path == path {
			return http.ErrUseLastResponse
		}
		return nil
	}}}
	stopped.confirm(at)
	return to
}

// link starts an authorization and returns its link.
func (s *service) link(body members) string {
	s.t.Helper()
	if body == nil {
		body = members{}
	}
	link, _ := s.send(request{method: "POST", path: "/integrations/notes/authorizations", body: body}).is(201).at("authorize_url").(string)
	require.NotEmpty(s.t, link)
	return link
}

// signIn has a person sign in.
func (s *service) signIn(body members) {
	s.t.Helper()
	status, text, _ := newBrowser(s.t).confirm(s.link(body))
	require.Equal(s.t, 200, status, text)
	require.Contains(s.t, text, "Signed in")
}

// called calls the endpoint, for a subject if one is given.
func (s *service) calledAs(subject string) reply {
	s.t.Helper()
	r := request{method: "POST", path: "/integrations/notes/endpoints/list/invoke", body: members{}}
	if subject != "" {
		r.header = map[string]string{"X-On-Behalf-Of": subject}
	}
	return s.send(r).is(200)
}

func TestAPersonSignsInAndCallsUseTheirToken(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	s := serve(t)
	s.create(consenting(as, nil))
	got := s.calledAs("")
	require.Equal(t, "authorization_required", got.at("error_code"))
	require.Equal(t, "none", s.get("/integrations/notes/authorizations/-").is(200).at("state"))

	link, _ := got.at("authorize_url").(string)
	b := newBrowser(t)
	status, page, header := b.get(link)
	require.Equal(t, 200, status)
	for _, named := range []string{"notes", "acme", "the workspace itself", "read", strings.TrimPrefix(as.URL, "http://")} {
		require.Contains(t, page, named)
	}
	require.NotContains(t, page, "<script")
	require.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'")
	require.Equal(t, "no-store", header.Get("Cache-Control"))
	require.Equal(t, "no-referrer", header.Get("Referrer-Policy"))
	require.Equal(t, link, s.calledAs("").at("authorize_url"), "a link that is good is given again")
	require.Equal(t, "pending", s.get("/integrations/notes/authorizations/-").at("attempt", "state"))

	status, page, _ = b.confirm(link)
	require.Equal(t, 200, status, page)
	require.Contains(t, page, "You have signed in to")
	got = s.get("/integrations/notes/authorizations/-").is(200)
	require.Equal(t, "authorized", got.at("state"))
	require.Equal(t, "amy", got.at("account"))
	require.Equal(t, true, got.at("renewable"))
	require.Equal(t, "succeeded", got.at("attempt", "state"))
	require.Equal(t, []any{"read"}, got.at("scopes"))
	require.Empty(t, got.at("missing_scopes"))
	require.Equal(t, "amy", s.calledAs("").at("raw_response", "account"))
	require.Equal(t, 1, as.Seen().Codes)
	require.Len(t, s.get("/integrations/notes/authorizations").is(200).at("items"), 1)
	require.NotContains(t, s.log.String(), "at-", "no token in the log")
	require.NotContains(t, s.log.String(), strings.TrimPrefix(link, s.url+"/oauth/authorize/"), "no link in the log")
}

func TestNoSubjectIsCalledForWithTheTokensOfAnother(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	s := serve(t)
	s.create(consenting(as, nil))
	s.signIn(nil)
	as.Do(func() { as.Account = "bob" })
	s.signIn(members{"subject": "user-bob"})
	require.Equal(t, "amy", s.calledAs("").at("raw_response", "account"))
	require.Equal(t, "bob", s.calledAs("user-bob").at("raw_response", "account"))
	require.Equal(t, "authorization_required", s.calledAs("user-eve").at("error_code"))
	as.Do(func() { as.Account = "carl" })
	s.signIn(members{"subject": "user-carl"})
	s.send(request{method: "DELETE", path: "/integrations/notes/authorizations/user-bob"}).is(200)
	require.Equal(t, "carl", s.calledAs("user-carl").at("raw_response", "account"))
	require.Equal(t, "none", s.get("/integrations/notes/authorizations/user-bob").at("state"))
	require.Len(t, s.get("/integrations/notes/authorizations").is(200).at("items"), 3, "a revoked person is erased")
	require.Len(t, s.get("/integrations/notes/authorizations?state=authorized").is(200).at("items"), 2)
	first := s.get("/integrations/notes/authorizations?limit=1").is(200)
	require.Equal(t, true, first.at("has_more"))
	next, _ := first.at("continuation_token").(string)
	require.Len(t, s.get("/integrations/notes/authorizations?limit=1&continuation_token="+next).is(200).at("items"), 1)
	require.Equal(t, "authorization_required", s.calledAs("user-bob").at("error_code"))
	require.Empty(t, s.get("/integrations/notes/authorizations?state=reauthorization_required").is(200).at("items"))
}

func TestCallingOnBehalfOfSomebodyNeedsAPermission(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	s := serve(t)
	s.create(consenting(as, nil))
	invoker, host, agent := s.issue("acme", access.Invoke), s.issue("acme", access.Invoke, access.ActFor), s.issue("acme", access.Authorize)
	call := request{method: "POST", path: "/integrations/notes/endpoints/list/invoke", body: members{}, header: map[string]string{"X-On-Behalf-Of": "amy"}}
	call.key = invoker
	s.send(call).is(403, "forbidden")
	call.key = host
	s.send(call).is(200)
	for _, wrong := range []string{"", "-", " amy", strings.Repeat("x", 257), "a\tb"} {
		call.header, call.wrong = map[string]string{"X-On-Behalf-Of": wrong}, true
		if strings.TrimSpace(wrong) == wrong {
			s.send(call).is(422, "subject_invalid")
		}
	}
	start := request{method: "POST", path: "/integrations/notes/authorizations", body: members{"subject": "amy"}, key: agent}
	s.send(start).is(201)
	start.body = members{}
	s.send(start).is(403, "forbidden")
	mcp := request{method: "POST", path: "/v1/acme/mcp", key: invoker, body: members{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, header: map[string]string{"X-On-Behalf-Of": "amy", "Accept": "application/json, text/event-stream"}}
	s.send(mcp).is(403, "forbidden")
}

func TestALinkIsGoodInOneBrowser(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	s := serve(t)
	s.create(consenting(as, nil))
	link := s.link(nil)
	amy, eve := newBrowser(t), newBrowser(t)
	back := amy.until("/oauth/callback", link)
	require.Contains(t, back, "/oauth/callback?code=")

	status, text, _ := eve.confirm(link)
	require.Equal(t, 409, status, text)
	require.Contains(t, text, "another browser")
	status, text, _ = eve.get(back)
	require.Equal(t, 409, status, text)
	require.Contains(t, text, "another browser")
	require.Zero(t, as.Seen().Codes, "it failed before the exchange")

	status, _, _ = amy.get(back, "Sec-Purpose", "prefetch;prerender")
	require.Equal(t, 204, status)
	status, _, _ = amy.get(link, "Purpose", "prefetch")
	require.Equal(t, 204, status)
	head, err := http.NewRequestWithContext(t.Context(), http.MethodHead, back, nil)
	require.NoError(t, err)
	status, _, _ = amy.do(head)
	require.Equal(t, 405, status)
	require.Zero(t, as.Seen().Codes, "what is fetched in advance spends nothing")

	status, text, _ = amy.get(back)
	require.Equal(t, 200, status, text)
	require.Contains(t, text, "Signed in")
	status, text, _ = amy.get(back)
	require.Equal(t, 200, status, "a reload shows the outcome again")
	require.Contains(t, text, "Signed in")
	require.Equal(t, 1, as.Seen().Codes)
	status, text, _ = eve.get(back)
	require.Equal(t, 409, status, text)
	status, text, _ = amy.get(link)
	require.Equal(t, 409, status, text)
}

func TestTwoTabsDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	s := serve(t)
	s.create(consenting(as, nil))
	one, other := s.link(members{"subject": "one"}), s.link(members{"subject": "other"})
	b := newBrowser(t)
	first, second := b.until("/oauth/callback", one), b.until("/oauth/callback", other)
	again := b.until("/oauth/callback", one) // the same link in a third tab
	for _, back := range []string{second, first} {
		status, text, _ := b.get(back)
		require.Equal(t, 200, status, text)
	}
	status, _, _ := b.get(again)
	require.Equal(t, 200, status)
	require.Equal(t, 2, as.Seen().Codes, "one for each attempt")
	for _, subject := range []string{"one", "other"} {
		require.Equal(t, "authorized", s.get("/integrations/notes/authorizations/"+subject).at("state"))
	}
}

func TestADenialLeavesWhatThereIsAsItIs(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	s := serve(t)
	s.create(consenting(as, nil))
	s.signIn(nil)
	s.send(request{method: "PUT", path: "/integrations/notes", body: members{"auth": members{"authorization_params": members{"prompt": "deny"}}}}).is(200)
	status, text, _ := newBrowser(t).confirm(s.link(nil))
	require.Equal(t, 409, status)
	require.Contains(t, text, "Access was denied")
	require.NotContains(t, text, "<script")
	got := s.get("/integrations/notes/authorizations/-").is(200)
	require.Equal(t, "authorized", got.at("state"))
	require.Equal(t, "denied", got.at("attempt", "state"))
	require.Equal(t, "access_denied", got.at("attempt", "error"))
	require.Equal(t, "amy", s.calledAs("").at("raw_response", "account"))
}

func TestAnAnswerOfAnotherAuthorizationServerIsRefused(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	s := serve(t)
	s.create(consenting(as, members{"issuer": as.URL}))
	as.Do(func() { as.Issuer = "https://evil.example.com" })
	status, text, _ := newBrowser(t).confirm(s.link(nil))
	require.Equal(t, 409, status)
	require.Contains(t, text, "another authorization server")
	require.Zero(t, as.Seen().Codes, "the code goes nowhere")
	as.Do(func() { as.Issuer = as.URL })
	s.signIn(nil)
	for _, wrong := range []string{"", "?code=x", "?code=x&state=y", "?code=x&state=" + strings.Repeat("0", 32) + ".AAAA", "?code=x&state=a&state=b"} {
		status, _, _ := newBrowser(t).get(s.url + "/oauth/callback" + wrong)
		require.Equal(t, 404, status, wrong)
	}
}

func TestSigningInAsSomebodyElseIsRefusedUnlessItIsMeant(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	s := serve(t)
	s.create(consenting(as, nil))
	s.signIn(nil)
	as.Do(func() { as.Account = "bob" })
	status, text, _ := newBrowser(t).confirm(s.link(nil))
	require.Equal(t, 409, status)
	require.Contains(t, text, "Another account")
	require.Equal(t, "amy", s.calledAs("").at("raw_response", "account"), "the old one still works")
	s.signIn(members{"replace_account": true})
	require.Equal(t, "bob", s.calledAs("").at("raw_response", "account"))
}

func TestParallelCallsAtAnExpiredTokenMakeOneRequestForAnother(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	var ahead atomic.Int64
	s := serve(t, func(set *settings) {
		set.now = func() time.Time { return time.Now().UTC().Truncate(time.Microsecond).Add(time.Duration(ahead.Load())) }
	})
	s.create(consenting(as, nil))
	s.signIn(nil)
	ahead.Store(int64(2 * time.Hour))
	as.EndAll(false)
	var calls sync.WaitGroup
	var refused atomic.Int64
	for range 200 {
		calls.Go(func() {
			if s.calledAs("").at("raw_response", "account") != "amy" {
				refused.Add(1)
			}
		})
	}
	calls.Wait()
	require.Zero(t, refused.Load())
	require.Equal(t, 1, as.Seen().Refreshes)
	require.Zero(t, as.Seen().Reuses)
}

func TestATokenThatTheUpstreamRefusesIsRenewedOnce(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	var ahead atomic.Int64
	s := serve(t, func(set *settings) {
		set.now = func() time.Time { return time.Now().UTC().Truncate(time.Microsecond).Add(time.Duration(ahead.Load())) }
	})
	s.create(consenting(as, nil))
	s.signIn(nil)
	as.EndAll(false)
	require.Equal(t, "amy", s.calledAs("").at("raw_response", "account"))
	require.Equal(t, 1, as.Seen().Refreshes)
	as.EndAll(true)
	for range 3 { // each with a link, and without a request for another token
		got := s.calledAs("")
		require.Equal(t, "authorization_required", got.at("error_code"))
		require.NotNil(t, got.at("authorize_url"))
	}
	require.Equal(t, 1, as.Seen().Refreshes, "the token that was refused is a fresh one")
	require.Equal(t, "authorized", s.get("/integrations/notes/authorizations/-").is(200).at("state"))
	ahead.Store(int64(2 * time.Minute))
	got := s.calledAs("")
	require.Equal(t, "authorization_required", got.at("error_code"))
	require.NotNil(t, got.at("authorize_url"))
	require.Equal(t, 2, as.Seen().Refreshes)
	shown := s.get("/integrations/notes/authorizations/-").is(200)
	require.Equal(t, "reauthorization_required", shown.at("state"))
	require.Equal(t, "refused", shown.at("reason"))
	s.calledAs("")
	require.Equal(t, 2, as.Seen().Refreshes, "after a loss nothing is asked")
	s.signIn(nil)
	require.Equal(t, "amy", s.calledAs("").at("raw_response", "account"))
}

func TestAProbeNeverUsesASubjectsTokenAndIsContentWithTheChallenge(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	s := serve(t)
	s.create(consenting(as, nil))
	s.signIn(members{"subject": "amy"})
	probe := s.send(request{method: "POST", path: "/integrations/notes/test-connection"}).is(200)
	require.Equal(t, "healthy", probe.at("status"), probe.text)
	require.Equal(t, false, probe.at("auth_resolved"))
	require.Contains(t, probe.at("message"), "waits for somebody to sign in")
	s.signIn(nil)
	probe = s.send(request{method: "POST", path: "/integrations/notes/test-connection"}).is(200)
	require.Equal(t, "healthy", probe.at("status"), probe.text)
	require.Equal(t, true, probe.at("auth_resolved"))
}

func TestRevocationDestroysTheTokensWhateverTheServerAnswers(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	s := serve(t)
	s.create(consenting(as, nil))
	s.signIn(nil)
	s.signIn(members{"subject": "amy-too"})
	done := s.send(request{method: "DELETE", path: "/integrations/notes/authorizations/-"}).is(200)
	require.Equal(t, "not_asked", done.at("revocation"), "the same account has a sibling, which would end too")
	require.Equal(t, "1", fmt.Sprint(done.at("siblings")))
	done = s.send(request{method: "DELETE", path: "/integrations/notes/authorizations/amy-too"}).is(200)
	require.Equal(t, "revoked", done.at("revocation"))
	require.Equal(t, 1, as.Seen().Revocations)
	s.send(request{method: "DELETE", path: "/integrations/notes/authorizations/nobody"}).is(404, "authorization_not_found")
	s.signIn(nil)
	s.send(request{method: "PUT", path: "/integrations/notes", body: members{"auth": members{"scopes": []string{"read", "write"}}}}).is(200)
	require.Equal(t, []any{"write"}, s.get("/integrations/notes/authorizations/-").at("missing_scopes"))
	s.send(request{method: "DELETE", path: "/integrations/notes"}).is(204)
	s.create(consenting(as, nil))
	require.Equal(t, "none", s.get("/integrations/notes/authorizations/-").at("state"), "a new integration of that name inherits nothing")
	require.Equal(t, "authorization_required", s.calledAs("").at("error_code"))
}

func TestAGrantGoesNowhereButWhereItWasGiven(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	s := serve(t)
	s.create(consenting(as, nil))
	s.signIn(nil)
	other := authservertest.New(t)
	s.send(request{method: "PUT", path: "/integrations/notes", body: members{
		"base_url": other.URL + "/api", "auth": members{"token_url": other.URL + "/token", "client_secret_value": "x"},
	}}).is(200)
	require.Equal(t, "authorization_required", s.calledAs("").at("error_code"))
	require.Zero(t, other.Seen().Calls)
	require.Zero(t, other.Seen().Refreshes)
	shown := s.get("/integrations/notes/authorizations/-")
	require.Equal(t, "reauthorization_required", shown.at("state"))
	require.Equal(t, "changed", shown.at("reason"))
}

func TestWhatConsentNeedsIsRefusedWithASentence(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	s := serve(t)
	s.create(rest("crm", "https://crm.example"))
	for _, path := range []string{"/integrations/crm/authorizations", "/integrations/crm/authorizations/amy"} {
		s.get(path).is(409, "no_consent_needed")
	}
	s.create(consenting(as, nil))
	for body, code := range map[string]string{`{"subject": 1}`: "type", `{"subject": "-"}`: "subject_invalid", `{"subject": ""}`: "subject_invalid", `{"subject": "a\u202eb"}`: "subject_invalid", `{"subject": "a\u200bb"}`: "subject_invalid", `{"who": "amy"}`: "unknown_member"} {
		s.send(request{method: "POST", path: "/integrations/notes/authorizations", body: body, wrong: true}).is(422, code)
	}
	s.send(request{method: "GET", path: "/integrations/notes/authorizations?state=x", wrong: true}).is(422)
	s.get("/integrations/notes/authorizations?continuation_token=%2A").is(422)
	status, text, _ := newBrowser(t).get(s.url + "/oauth/authorize/nothing")
	require.Equal(t, 404, status)
	require.Contains(t, text, "not valid")
	_, err := url.Parse(s.url)
	require.NoError(t, err)
}

func TestAnAgentCallsOnBehalfOfASubjectOverMCP(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	s := serve(t)
	s.create(consenting(as, nil))
	ask := func(subject, method string, params members) reply {
		r := request{
			method: "POST", path: "/v1/acme/mcp", body: members{"jsonrpc": "2.0", "id": 1, "method": method, "params": params},
			header: map[string]string{"Accept": "application/json, text/event-stream", "X-On-Behalf-Of": subject},
		}
		return s.send(r).is(200)
	}
	tool := ask("user-1", "tools/list", members{}).at("result", "tools", 0, "name")
	call := members{"name": tool, "arguments": members{}}
	refused := ask("user-1", "tools/call", call)
	require.Equal(t, true, refused.at("result", "isError"))
	require.Contains(t, refused.text, "nobody has signed in to this integration yet")
	require.Contains(t, refused.text, "A person can sign in at "+s.url+"/oauth/authorize/")
	s.signIn(members{"subject": "user-1"})
	require.Contains(t, ask("user-1", "tools/call", call).text, "amy")
	require.Equal(t, true, ask("user-2", "tools/call", call).at("result", "isError"))
}
