package main

import (
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/peers"
)

// signInFlags starts oidc-provider, and returns the flags of a service whose console persons sign
// in to with it.
func (s *site) signInFlags(t *testing.T) []string {
	t.Helper()
	free, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0") // the provider must know the address first
	require.NoError(t, err)
	at := free.Addr().String()
	require.NoError(t, free.Close())
	s.issuer = peers.Start(t, "issuer.mjs", map[string]any{
		"clients": []any{map[string]any{
			"client_id": "console", "client_secret": "secret-of-the-console", "redirect_uris": []string{"http://" + at + "/console/.provider/callback"},
			"post_logout_redirect_uris": []string{"http://" + at + "/console/.sign-in"}, "grant_types": []string{"authorization_code"}, "response_types": []string{"code"},
			"token_endpoint_auth_method": "client_secret_basic",
		}},
		"groups": map[string][]string{"ann": {"team-acme"}, "eve": {"nobody"}}, "scopes": []string{"integrations:view"}, "resources": map[string]string{"urn:integrations": "integrations"},
	})
	grants := filepath.Join(t.TempDir(), "grants.yaml")
	require.NoError(t, os.WriteFile(grants, []byte(`grants: [{when: {groups: "team-*"}, workspaces: ["{1}"], permissions: [Integration.view, Approval.decide]}]`), 0o600))
	return []string{
		"--listen=" + at, "--oidc-grants=" + grants, "--oidc-issuer=" + s.issuer, "--oidc-audience=integrations", "--oidc-allow-loopback",
		"--oidc-client-id=console", "--oidc-client-secret=secret-of-the-console",
	}
}

// provider has a person sign in with oidc-provider: once with a password, once with the session that
// the browser has there.
func (s *site) provider() {
	tab := s.browser.Open(s)
	tab.See(1280, 900, false)
	tab.Go(s.url + "/console/acme/calls?outcome=ok")
	s.sound(tab, "the sign-in with a provider")
	tab.Do(`document.querySelector("main a.button").click()`)
	tab.Until(`document.querySelector("input[name=login]")`)
	tab.Do(`document.querySelector("input[name=login]").value = "ann"; document.querySelector("input[name=password]").value = "any"; document.querySelector("button").click()`)
	tab.Do(`document.querySelector("button").click()`) // she consents
	tab.Until(`location.href.startsWith(` + quoted(s.url+"/console/acme/calls") + `)`)
	require.Equal(s, s.url+"/console/acme/calls?outcome=ok", tab.Text("location.href"), "where she wanted to go")
	require.Equal(s, "ann", tab.Text("document.querySelector('.who').innerText"))
	tab.Problems() // of the pages of the provider
	tab.Requests()
	tab.Go(s.url + "/console/")
	require.Contains(s, tab.Text("document.body.innerText"), "Integrations", "her only workspace")
	require.Equal(s, s.url+"/console/acme/integrations", tab.Text("location.href"))
	require.Equal(s, "", tab.Text(`document.querySelector('a[href$="/connect"]') || ""`))
	s.quiet(tab, "the tab of a person")

	tab.Do(`document.querySelector("form[action$='.sign-out'] button").click()`)
	require.Contains(s, tab.Text("document.body.innerText"), "Sign out at the provider too")
	tab.Do(`document.querySelector("main a.button").click()`) // the provider knows her
	tab.Until(`location.href === ` + quoted(s.url+"/console/acme/integrations"))

	other := s.browser.Open(s)
	other.Go(s.url + "/console/.provider")
	other.Do(`document.querySelector("input[name=login]").value = "eve"; document.querySelector("input[name=password]").value = "any"; document.querySelector("button").click()`)
	other.Do(`document.querySelector("button").click()`)
	other.Until(`document.body.innerText.includes("no grant of this service matches")`)
	forged := other.Text("location.href")
	other.Problems()
	other.Go(forged) // what came back once is of no use again
	require.Contains(s, other.Text("document.body.innerText"), "was not begun in this browser")
	s.crossed(forged)
}

// crossed has the answer to somebody's sign-in come to another browser, and to one that began its own.
func (s *site) crossed(came string) {
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	begin, err := http.NewRequestWithContext(s.Context(), http.MethodGet, s.url+"/console/.provider?to=https://evil.example/", nil)
	require.NoError(s, err)
	resp, err := client.Do(begin)
	require.NoError(s, err)
	require.NoError(s, resp.Body.Close())
	to, err := url.Parse(resp.Header.Get("Location"))
	require.NoError(s, err)
	require.Equal(s, []string{"code", "S256", "console"}, []string{to.Query().Get("response_type"), to.Query().Get("code_challenge_method"), to.Query().Get("client_id")})
	cookie := resp.Cookies()[0]
	require.Equal(s, []any{"console-sign-in", true, http.SameSiteLaxMode}, []any{cookie.Name, cookie.HttpOnly, cookie.SameSite})
	for _, cookies := range [][]*http.Cookie{nil, {cookie}} {
		r, err := http.NewRequestWithContext(s.Context(), http.MethodGet, came, nil)
		require.NoError(s, err)
		for _, c := range cookies {
			r.AddCookie(c)
		}
		resp, err := client.Do(r)
		require.NoError(s, err)
		require.NoError(s, resp.Body.Close())
		require.Equal(s, http.StatusBadRequest, resp.StatusCode)
		require.Empty(s, resp.Cookies())
	}
}
