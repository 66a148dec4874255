package authorizations_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/authservertest"
)

// object is a JSON object.
type object = map[string]any

// called returns an endpoint with a path.
func called(path string) object {
	return object{"endpoints": []any{object{"name": "get", "description": "Get.", "method": "GET", "path": path, "retry_config": object{"max_retries": 0}}}}
}

// at returns the members of an integration at a base URL, with an endpoint.
func at(base, path string) object {
	all := called(path)
	all["base_url"] = base
	return all
}

// answers adds members to every answer with tokens.
func answers(as *authservertest.Server, more func(answer object)) {
	as.Answer = func(w http.ResponseWriter, answer map[string]any) bool {
		more(answer)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
		return true
	}
}

// stranger is a server that nothing may be sent to.
func stranger(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a stranger got %s %s", r.Method, r.URL)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// QuickBooks names the company in the query of the callback, and nowhere else.
func TestSignInAtQuickBooks(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	realm := []string{"4620816365"}
	as.Back = func(_, answer url.Values) { answer["realmId"] = realm }
	var asked atomic.Value
	as.API = func(w http.ResponseWriter, r *http.Request) bool {
		asked.Store(r.URL.String())
		_, _ = w.Write([]byte(`{}`))
		return true
	}
	p := processesOf(t, as, 1, object{
		"scopes": "com.intuit.quickbooks.accounting", "capture": object{"realm_id": object{"from": "callback", "path": "realmId"}},
	}, at(as.URL+"/api/v3/company/{account.realm_id}", "/companyinfo/{account.realm_id}?realm={account.realm_id}"))[0]
	require.Equal(t, domain.CallAuthorizationRequired, p.call(nil).ErrorCode)

	for _, wrong := range [][]string{nil, {"1", "2"}, {"{x}"}, {strings.Repeat("1", 2000)}, {" 1"}} {
		realm = wrong
		require.Equal(t, authorizations.Failed, p.tryToSignIn(authorizations.Start{}).State, wrong)
	}
	require.Zero(t, as.Seen().Codes, "no code is sent without the company")
	for _, wrong := range []string{"..", "4620816365/../../x"} {
		realm = []string{wrong}
		p.signIn()
		require.Equal(t, domain.CallMisconfigured, p.call(nil).ErrorCode, wrong)
		require.Nil(t, asked.Load(), "no value leads away from the base URL")
	}
	realm = []string{"4620816365"}
	p.signIn()
	require.Equal(t, map[string]string{"realm_id": "4620816365"}, p.state().Captured)
	require.Equal(t, 200, p.call(object{"account.realm_id": "evil", "realm_id": "evil"}).StatusCode)
	require.Equal(t, "/api/v3/company/4620816365/companyinfo/4620816365?realm=4620816365&account.realm_id=evil&realm_id=evil", asked.Load(), "what was captured wins")
	_, err := p.token(p.good())
	require.NoError(t, err)
	require.Equal(t, "4620816365", p.state().Captured["realm_id"], "a refresh, which does not name it, leaves it")
}

// Zoho names the region's authorization server in the callback, and its API with the tokens.
func TestSignInAtZoho(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	as.Method, as.Token = "body", "Authorization: Zoho-oauthtoken "
	server, domainOf := as.URL, as.URL
	as.Back = func(asked, answer url.Values) {
		require.Equal(t, "offline", asked.Get("access_type"))
		answer.Set("location", "eu")
		answer.Set("accounts-server", server)
	}
	answers(as, func(answer object) { answer["api_domain"] = domainOf })
	p := processesOf(t, as, 1, object{
		"scopes": "ZohoCRM.modules.ALL", "authorization_params": object{"access_type": "offline"}, "token_url": "{account.accounts_server}/token",
		"token_in": object{"header": "Authorization", "format": "Zoho-oauthtoken {token}"},
		"capture": object{
			"accounts_server": object{"from": "callback", "path": "accounts-server", "hosts": []any{as.Host(), "accounts.zoho.eu", "accounts.zoho.com.au"}},
			"api_domain":      object{"from": "token", "path": "api_domain", "hosts": []any{as.Host(), "www.zohoapis.eu"}},
		},
	}, at("{account.api_domain}/api/crm/v6", "/org"))[0]
	for _, wrong := range []string{stranger(t), "http://" + as.Host() + "/token", "https://accounts.zoho.eu.evil.example", "https://evil.example/accounts.zoho.eu", "https://u@" + as.Host(), "https://accounts.zoho.ca"} {
		server = wrong
		out := p.tryToSignIn(authorizations.Start{})
		require.Equal(t, authorizations.Failed, out.State, wrong)
		require.Contains(t, out.Sentence, "accounts-server")
	}
	require.Zero(t, as.Seen().Codes, "the code and the client secret go nowhere")
	server, domainOf = as.URL, stranger(t)
	require.Equal(t, authorizations.Failed, p.tryToSignIn(authorizations.Start{}).State)
	domainOf = as.URL
	p.signIn()
	require.Equal(t, 200, p.call(nil).StatusCode)
	require.Equal(t, as.URL, p.state().Captured["api_domain"])

	domainOf = stranger(t)
	_, err := p.token(p.good())
	require.NoError(t, err, "a refresh keeps its tokens, and the host that there was")
	require.Equal(t, 200, p.call(nil).StatusCode)
}

// Shopify asks at the shop itself, which the caller names, and signs the callback.
func TestSignInAtShopify(t *testing.T) {
	t.Parallel()
	as := authservertest.NewTLS(t)
	as.Method, as.NoRefresh, as.Lifetime, as.Token = "body", true, 0, "X-Shopify-Access-Token: "
	shop, sign := as.Host(), func(answer url.Values) {
		m := hmac.New(sha256.New, []byte(as.Secret))
		_, _ = m.Write([]byte(answer.Encode()))
		answer.Set("hmac", hex.EncodeToString(m.Sum(nil)))
	}
	as.Back = func(_, answer url.Values) {
		answer.Set("shop", shop)
		answer.Set("timestamp", "1337178173")
		answer.Set("host", "YWRtaW4uc2hvcGlmeS5jb20")
		sign(answer)
	}
	p := processesOf(t, as, 1, object{
		"scopes": "read_orders", "authorization_url": "https://{account.shop}/authorize", "token_url": "https://{account.shop}/token", "callback_hmac": "hmac",
		"token_in": object{"header": "X-Shopify-Access-Token", "format": "{token}"}, "offline_access": "omit",
		"capture": object{"shop": object{"from": "callback", "path": "shop", "hosts": []any{"*.myshopify.com", as.Host()}}},
	}, at("https://{account.shop}/api/admin", "/shop.json"))[0]
	for _, wrong := range []string{"", "evil.example", "a.b.myshopify.com", "myshopify.com", "acme.myshopify.com.evil.example", "evil.example/.myshopify.com", "u@x.myshopify.com", "x.myshopify.com:444", "-.myshopify.com"} {
		_, err := p.Start(t.Context(), p.use, authorizations.Start{Account: map[string]string{"shop": wrong}})
		require.Equal(t, domain.Invalid, domain.KindOf(err), wrong)
	}
	_, err := p.Start(t.Context(), p.use, authorizations.Start{})
	require.ErrorContains(t, err, "shop")
	_, err = p.Start(t.Context(), p.use, authorizations.Start{Account: map[string]string{"shop": "acme.myshopify.com"}})
	require.NoError(t, err)

	start := authorizations.Start{Account: map[string]string{"shop": as.Host()}}
	good := sign
	for name, wrong := range map[string]func(url.Values){
		"is not signed": func(url.Values) {}, "signed": func(answer url.Values) { good(answer); answer.Set("timestamp", "1") },
		"the one that the link": func(answer url.Values) { answer.Set("shop", "other.myshopify.com"); good(answer) },
		"must not have":         func(answer url.Values) { answer.Set("shop", "evil.example"); good(answer) },
	} {
		sign = wrong
		out := p.tryToSignIn(start)
		require.Equal(t, authorizations.Failed, out.State, name)
		require.Contains(t, out.Sentence, strings.TrimPrefix(name, "is not "))
	}
	require.Zero(t, as.Seen().Codes, "the code and the client secret go nowhere")
	sign = good
	out := p.tryToSignIn(start)
	require.Equal(t, authorizations.Succeeded, out.State, out.Sentence)
	require.Equal(t, 200, p.call(nil).StatusCode, p.call(nil).Error)
}

// Salesforce moves an organization to another host, and names it with the next refresh.
func TestSignInAtSalesforceWhoseInstanceMoves(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	as.Lifetime, as.KeepRefresh = 0, true
	instance := as.URL
	answers(as, func(answer object) { answer["instance_url"] = instance })
	moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.True(t, strings.HasPrefix(r.Header.Get("Authorization"), "Bearer at-"))
		_, _ = w.Write([]byte(`{"at": "the new host", "path": "` + r.URL.Path + `"}`))
	}))
	t.Cleanup(moved.Close)
	p := processesOf(t, as, 1, object{
		"scopes": "api refresh_token", "capture": object{"instance_url": object{"from": "token", "path": "instance_url", "hosts": []any{"*.my.salesforce.com", as.Host(), strings.TrimPrefix(moved.URL, "http://")}}},
	}, at("{account.instance_url}/api/services/data/v62.0", "/limits"))[0]
	p.signIn()
	require.Equal(t, 200, p.call(nil).StatusCode)
	instance = moved.URL
	as.EndAll(false)
	before := as.Seen()
	result := p.call(nil)
	require.Equal(t, 200, result.StatusCode, result.Error)
	require.Equal(t, object{"at": "the new host", "path": "/api/services/data/v62.0/limits"}, result.RawResponse)
	require.Equal(t, 1, as.Seen().Calls-before.Calls, "one call to the old host, and one retry to the new one")
	require.Equal(t, before.Refreshes+1, as.Seen().Refreshes)
	require.Equal(t, moved.URL, p.state().Captured["instance_url"])
	require.Equal(t, 200, p.call(nil).StatusCode)
	require.Equal(t, before.Refreshes+1, as.Seen().Refreshes)
}

// Atlassian has several sites behind one grant: which one is meant, nobody may guess.
func TestSignInAtAtlassianWithSeveralSites(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	sites := `[{"id": "s1", "name": "one", "scopes": ["read:jira-work"]}, {"id": "s1", "name": "one", "scopes": []}, {"id": "s2", "name": "two"}]`
	var asked atomic.Value
	as.API = func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/api/oauth/token/accessible-resources" {
			_, _ = w.Write([]byte(sites))
			return true
		}
		asked.Store(r.URL.Path)
		_, _ = w.Write([]byte(`{}`))
		return true
	}
	p := processesOf(t, as, 1, object{
		"scopes": "read:jira-work offline_access", "authorization_params": object{"audience": "api.atlassian.com", "prompt": "consent"},
		"identity_call": object{"url": as.URL + "/api/oauth/token/accessible-resources"},
		"capture":       object{"site": object{"from": "call", "path": "[*].id", "label": "name"}},
	}, at(as.URL+"/api/ex/jira/{account.site}", "/rest/api/3/myself"))[0]
	out := p.signIn()
	require.Equal(t, map[string][]domain.Choice{"site": {{Value: "s1", Label: "one"}, {Value: "s2", Label: "two"}}}, out.Choices)
	result := p.call(nil)
	require.Equal(t, domain.CallAuthorizationRequired, result.ErrorCode)
	require.Contains(t, result.Error, "2 values of site")
	require.Nil(t, asked.Load(), "never the first one")
	require.Equal(t, domain.Invalid, domain.KindOf(p.Choose(t.Context(), p.use, map[string]string{"site": "s3"})))
	require.NoError(t, p.Choose(t.Context(), p.use, map[string]string{"site": "s2"}))
	require.Equal(t, 200, p.call(nil).StatusCode)
	require.Equal(t, "/api/ex/jira/s2/rest/api/3/myself", asked.Load())
	require.Empty(t, p.signIn().Choices, "the choice of the same account stays")
	require.NoError(t, p.Choose(t.Context(), p.use, map[string]string{"site": "s1"}), "one grant serves several")
	require.Equal(t, 200, p.call(nil).StatusCode)
	require.Equal(t, "/api/ex/jira/s1/rest/api/3/myself", asked.Load())

	out = p.tryToSignIn(authorizations.Start{Account: map[string]string{"site": "s9"}})
	require.Equal(t, authorizations.Failed, out.State)
	require.Equal(t, authorizations.Succeeded, p.tryToSignIn(authorizations.Start{Account: map[string]string{"site": "s2"}}).State)
	require.Equal(t, "s2", p.state().Captured["site"])
	sites = `[{"id": "s7"}]`
	require.Empty(t, p.signIn().Choices)
	require.Equal(t, "s7", p.state().Captured["site"])
	sites = `[]`
	require.Equal(t, authorizations.Failed, p.tryToSignIn(authorizations.Start{}).State)
	require.Equal(t, "s7", p.state().Captured["site"], "what there is stays")
}
