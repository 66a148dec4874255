package authorizations_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/authservertest"
)

// GitHub answers with a form, 200 for errors, and gives no refresh token.
func TestSignInAtGitHub(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	as.Method, as.Lifetime, as.NoRefresh, as.Account = "body", 0, true, ""
	as.Answer = func(w http.ResponseWriter, answer map[string]any) bool {
		w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		_, _ = w.Write([]byte(url.Values{"access_token": {answer["access_token"].(string)}, "scope": {"repo,gist"}, "token_type": {"bearer"}}.Encode()))
		return true
	}
	p := processes(t, as, 1, map[string]any{"scopes": "repo gist user"})[0]
	require.Equal(t, []string{"user"}, p.signIn().MissingScopes)
	require.Equal(t, []string{"repo", "gist"}, p.state().Scopes)
	require.NotEmpty(t, p.good())
	as.Do(func() {
		as.Fault = func(w http.ResponseWriter, _ url.Values) bool {
			w.Header().Set("Content-Type", "application/x-www-form-urlencoded")
			_, _ = w.Write([]byte("error=bad_verification_code&error_description=The+code+is+wrong"))
			return true
		}
	})
	out := p.tryToSignIn(authorizations.Start{By: "key"})
	require.Equal(t, authorizations.Failed, out.State)
	require.Contains(t, out.Sentence, "bad_verification_code")
	require.NotEmpty(t, p.good(), "the first one still works")
}

// Slack answers 200 with ok: false, and has the person's token in a member of its own.
func TestSignInAtSlack(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	as.Method, as.Account = "body", ""
	nest := func(w http.ResponseWriter, answer map[string]any) bool {
		w.Header().Set("Content-Type", "application/json")
		answer["id"], answer["scope"] = "U1", "chat:write"
		_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "access_token": "xoxb-not-this-one", "authed_user": answer})
		return true
	}
	as.Answer = nest
	p := processes(t, as, 1, map[string]any{"scopes": "chat:write", "token_response": map[string]any{
		"access_token": "authed_user.access_token", "refresh_token": "authed_user.refresh_token", "expires_in": "authed_user.expires_in",
		"scope": "authed_user.scope", "ok": "ok", "account": "authed_user.id",
	}})[0]
	p.signIn()
	require.Equal(t, "U1", p.state().Account)
	require.True(t, strings.HasPrefix(p.good(), "at-"))
	old := p.good()
	next, err := p.token(old)
	require.NoError(t, err)
	require.NotEqual(t, old, next)
	as.Do(func() {
		as.Answer = func(w http.ResponseWriter, answer map[string]any) bool {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]any{"ok": false, "error": "invalid_refresh_token"})
			return true
		}
	})
	_, err = p.token(next)
	require.Equal(t, domain.AuthorizationRequiredCode, domain.CodeOf(err))
}

// Salesforce names no lifetime, and Zendesk one only when it is asked for.
func TestSignInAtSalesforce(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	as.Lifetime, as.KeepRefresh = 0, true
	p := processes(t, as, 1, nil)[0]
	p.signIn()
	require.True(t, p.state().ExpiresAt.IsZero())
	p.pass(24 * time.Hour)
	old := p.good()
	as.EndAll(false)
	next, err := p.token(old)
	require.NoError(t, err, "renewed when the upstream answers 401")
	require.NotEqual(t, old, next)
}

// Google gives no second refresh token to the same account, unless it is asked to have the
// person consent again; what there is stays.
func TestSignInAtGoogle(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	as.Static = true
	p := processes(t, as, 1, map[string]any{"authorization_params": map[string]any{"access_type": "offline"}})[0]
	started, err := p.Start(t.Context(), p.use, authorizations.Start{})
	require.NoError(t, err)
	to, _, err := p.Continue(t.Context(), started.URL[strings.LastIndex(started.URL, "/")+1:], "", p.find)
	require.NoError(t, err)
	asked, err := url.Parse(to)
	require.NoError(t, err)
	require.Equal(t, "consent", asked.Query().Get("prompt"))
	p.signIn()
	as.Do(func() { as.NoRefresh = true })
	p.signIn()
	require.True(t, p.state().CanRefresh)
	as.Do(func() { as.NoRefresh = false })
	old := p.good()
	_, err = p.token(old)
	require.NoError(t, err)
}

// Entra wants the granted scopes with each refresh, never those that were asked for.
func TestSignInAtEntra(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	granted := "User.Read"
	as.GrantScope = &granted
	var sent []string
	as.CheckRequest = func(_ string, form url.Values) {
		if form.Get("grant_type") == "refresh_token" {
			sent = append(sent, form.Get("scope"), form.Get("resource"))
		}
	}
	p := processes(t, as, 1, map[string]any{"scopes": "User.Read Mail.Read", "scope_on_refresh": true, "resource": "none"})[0]
	require.Equal(t, []string{"Mail.Read"}, p.signIn().MissingScopes)
	_, err := p.token(p.good())
	require.NoError(t, err)
	as.Do(func() { require.Equal(t, []string{"User.Read", ""}, sent) })
	strict := processes(t, as, 1, map[string]any{"scopes": "User.Read Mail.Read", "require_all_scopes": true})[0]
	out := strict.tryToSignIn(authorizations.Start{})
	require.Equal(t, authorizations.Failed, out.State)
	require.Contains(t, out.Sentence, "Mail.Read")
	require.Equal(t, domain.NotAuthorized, strict.state().State)
}

// A token of 16 KiB is kept whole, with its refresh token.
func TestTokensMayBeLong(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	long := strings.Repeat("a", 16<<10-3)
	as.Answer = func(w http.ResponseWriter, answer map[string]any) bool {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "at-" + long, "refresh_token": strings.Repeat("r", 16<<10), "expires_in": "3600"})
		return true
	}
	p := processes(t, as, 1, nil)[0]
	p.signIn()
	require.Equal(t, "at-"+long, p.good())
	require.WithinDuration(t, time.Now().Add(time.Hour), p.state().ExpiresAt, time.Minute, "a lifetime may be a text")
}
