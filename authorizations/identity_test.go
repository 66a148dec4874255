package authorizations_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/authservertest"
)

// HubSpot names the portal in an answer to a call that has the token in its path.
func TestSignInAtHubSpot(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	as.Account = ""
	answer, status := `{"token": "x", "user": "amy@clinic.example", "hub_id": 62515, "active": true}`, http.StatusOK
	var asked, sent string
	identity := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, sent = r.URL.Path, r.Header.Get("Authorization")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(identity.Close)
	p := processesOf(t, as, 1, object{
		"identity_call": object{"url": identity.URL + "/oauth/v1/access-tokens/{token}", "ok": "active", "account": "user"},
		"capture":       object{"hub_id": object{"from": "call", "path": "hub_id"}},
	}, at(as.URL+"/api", "/portals/{account.hub_id}"))[0]
	p.signIn()
	require.True(t, strings.HasPrefix(asked, "/oauth/v1/access-tokens/at-"))
	require.Empty(t, sent, "the token goes to one place")
	require.Equal(t, "amy@clinic.example", p.state().Account)
	require.Equal(t, map[string]string{"hub_id": "62515"}, p.state().Captured)
	require.Equal(t, 200, p.call(nil).StatusCode)

	for name, row := range map[string]struct {
		answer string
		status int
		want   string
	}{
		"a token that is not active": {`{"active": false, "hub_id": 1}`, 200, "active is not true"},
		"another account":            {`{"active": true, "hub_id": 1, "user": "bob@clinic.example"}`, 200, "nother account"},
		"no portal":                  {`{"active": true, "user": "amy@clinic.example"}`, 200, "no value hub_id"},
		"no JSON":                    {`<html>`, 200, "active is not true"},
		"refused":                    {`{}`, 403, "403"},
		"down":                       {`{}`, 503, "503"},
	} {
		answer, status = row.answer, row.status
		out := p.tryToSignIn(authorizations.Start{})
		require.Equal(t, authorizations.Failed, out.State, name)
		require.Contains(t, out.Sentence, row.want, name)
		require.NotContains(t, out.Sentence, "at-", "no token")
	}
	require.Equal(t, "62515", p.state().Captured["hub_id"], "what there is stays")
	answer, status = `{"active": true, "hub_id": "`+p.good()+`", "user": "amy@clinic.example"}`, 200
	p.signIn()
	require.NotContains(t, p.state().Captured["hub_id"], p.good())
}

// A server that repeats a token where a value is looked for shows it to nobody.
func TestNoTokenIsCaptured(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	answers(as, func(answer object) {
		answer["echo"], answer["secret"] = answer["access_token"], "Basic "+as.Secret
		answer["inner"] = "x" + answer["refresh_token"].(string)
	})
	for _, path := range []string{"echo", "inner", "secret"} {
		p := processesOf(t, as, 1, object{"capture": object{"value": object{"from": "token", "path": path}}}, nil)[0]
		out := p.tryToSignIn(authorizations.Start{})
		require.Equal(t, authorizations.Failed, out.State, path)
		require.Equal(t, "account_value_refused", p.state().Attempt.Error, path)
		require.Equal(t, domain.NotAuthorized, p.state().State)
	}
}
