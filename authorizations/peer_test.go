package authorizations_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/authservertest"
	"github.com/seed677028b5/integrations/internal/peers"
)

var (
	formAction = regexp.MustCompile(`<form[^>]*action="([^"]+)"`)
	formInput  = regexp.MustCompile(`<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"`)
)

// visit is a person with a browser who signs in as a name wherever a page asks, until they
// are sent to stop. It returns where to.
func visit(t *testing.T, at, stop, name string) *url.URL {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	var back *url.URL
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), stop) {
			back = r.URL
			return http.ErrUseLastResponse
		}
		return nil
	}}
	resp, err := browser.Get(at)
	for range 5 {
		require.NoError(t, err)
		text, readErr := io.ReadAll(resp.Body)
		require.NoError(t, readErr)
		require.NoError(t, resp.Body.Close())
		if back != nil {
			return back
		}
		action := formAction.FindStringSubmatch(string(text))
		require.NotNil(t, action, "%d %s", resp.StatusCode, text)
		form := url.Values{"login": {name}, "password": {"x"}}
		for _, input := range formInput.FindAllStringSubmatch(string(text), -1) {
			form.Set(input[1], input[2])
		}
		target, parseErr := resp.Request.URL.Parse(action[1])
		require.NoError(t, parseErr)
		resp, err = browser.PostForm(target.String(), form)
	}
	t.Fatal("the pages of the authorization server do not end")
	return nil
}

// userInfo returns who a token belongs to, "" for one that is refused.
func userInfo(t *testing.T, provider, token string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, provider+"/me", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	var who struct{ Sub string }
	if resp.StatusCode == http.StatusOK {
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&who))
	}
	return who.Sub
}

// The provider rotates refresh tokens, and ends a grant whose refresh token is used twice.
func TestAPersonSignsInAtOIDCProvider(t *testing.T) {
	t.Parallel()
	for method, named := range map[string]string{"client_secret_basic": "basic", "client_secret_post": "body", "none": "none"} {
		t.Run(named, func(t *testing.T) {
			t.Parallel()
			client := map[string]any{
				"client_id": "us", "redirect_uris": []string{"http://127.0.0.1:1/oauth/callback"}, "grant_types": []string{"authorization_code", "refresh_token"},
				"response_types": []string{"code"}, "token_endpoint_auth_method": method,
			}
			auth := map[string]any{"issuer": "", "authorization_url": nil, "token_url": nil, "client_auth_method": named, "scopes": "openid offline_access"}
			as := authservertest.New(t)
			if named != "none" {
				client["client_secret"] = as.Secret
			} else {
				auth["client_secret_value"] = nil
			}
			provider := peers.Start(t, "provider.mjs", map[string]any{"clients": []any{client}, "lifetime": 60})
			auth["issuer"] = provider
			all := processes(t, as, 2, auth)
			p := all[0]
			started, err := p.Start(t.Context(), p.use, authorizations.Start{By: "key"})
			require.NoError(t, err)
			link := started.URL[strings.LastIndex(started.URL, "/")+1:]
			to, cookie, err := p.Continue(t.Context(), link, "", p.find)
			require.NoError(t, err)
			back := visit(t, to, "http://127.0.0.1:1/", "amy")
			require.NotEmpty(t, back.Query().Get("iss"), "the provider names itself")
			out, err := p.Callback(t.Context(), authorizations.Return{Path: back.Path, Query: back.Query(), Cookie: func(string) string { return cookie }}, p.find)
			require.NoError(t, err)
			require.Equal(t, authorizations.Succeeded, out.State, out.Sentence)
			require.Equal(t, "amy", p.state().Account)
			require.Equal(t, "amy", userInfo(t, provider, p.good()))
			for range 3 { // each refresh is another refresh token
				p.pass(2 * time.Minute)
				old := p.good()
				next, err := all[1].token(old)
				require.NoError(t, err)
				require.NotEqual(t, old, next)
				require.Equal(t, "amy", userInfo(t, provider, next))
			}
			p.pass(time.Hour)
			require.Equal(t, "amy", userInfo(t, provider, p.good()))
			done, err := p.Revoke(t.Context(), p.use, "key", true)
			require.NoError(t, err)
			require.Equal(t, "revoked", done.Outcome)
			require.Equal(t, domain.NotAuthorized, p.state().State)
		})
	}
}
