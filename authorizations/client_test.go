package authorizations_test

import (
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

// registering returns an authorization server where clients register themselves, and the
// members of an auth that discovers it.
func registering(t *testing.T) (*authservertest.Server, object) {
	t.Helper()
	as := authservertest.New(t)
	as.Registers = true
	as.Metadata = func(path string, _ map[string]any) bool { return path == "/.well-known/oauth-authorization-server" }
	return as, object{"client_id": nil, "client_secret_value": nil, "client_auth_method": nil, "authorization_url": nil, "token_url": nil, "issuer": as.URL}
}

// AWS forgets the clients that have registered themselves, and shows that to the person alone.
func TestSignInAtAWSWhichForgetsItsClients(t *testing.T) {
	t.Parallel()
	as, auth := registering(t)
	p := processes(t, as, 1, auth)[0]
	p.signIn()
	first := p.state().ClientID
	p.signIn()
	require.Equal(t, 1, as.Seen().Registrations, "one for all consents")

	as.Forget()
	old := p.good()
	_, err := p.token(old)
	require.NotEqual(t, domain.AuthorizationRequiredCode, domain.CodeOf(err), "one refusal proves nothing")
	require.Equal(t, domain.IsAuthorized, p.state().State)
	p.pass(time.Minute)
	_, err = p.token(old)
	require.Equal(t, domain.AuthorizationRequiredCode, domain.CodeOf(err))
	require.Equal(t, domain.LossClientUnknown, p.state().Lost)
	p.signIn()
	require.Equal(t, 2, as.Seen().Registrations)
	require.NotEqual(t, first, p.state().ClientID)
	require.NotEmpty(t, p.good())

	as.Forget() // the page of the server shows it, and nobody comes back
	started, err := p.Start(t.Context(), p.use, authorizations.Start{})
	require.NoError(t, err)
	link := started.URL[strings.LastIndex(started.URL, "/")+1:]
	_, _, err = p.Continue(t.Context(), link, "", p.find)
	require.NoError(t, err)
	p.pass(11 * time.Minute)
	attempt := p.state().Attempt
	require.Equal(t, authorizations.Expired, attempt.State)
	require.Contains(t, attempt.Sentence, "reregister")
	require.Equal(t, authorizations.Succeeded, p.tryToSignIn(authorizations.Start{Reregister: true}).State)
	require.Equal(t, 3, as.Seen().Registrations)

	p.pass(89 * 24 * time.Hour)
	p.signIn()
	require.Equal(t, 3, as.Seen().Registrations)
	p.pass(24*time.Hour - 5*time.Minute)
	p.signIn()
	require.Equal(t, 4, as.Seen().Registrations, "its secret ends before the person is back")
}

// After the service has moved, grants are renewed by the client that they were given to, and
// another consent registers one that knows the new address.
func TestAnotherPublicURLIsAnotherClientForTheNextConsent(t *testing.T) {
	t.Parallel()
	as, auth := registering(t)
	p := processes(t, as, 1, auth)[0]
	p.signIn()
	first := p.state()
	p.SetPublicURL("http://127.0.0.1:2")
	_, err := p.token(p.good())
	require.NoError(t, err, "the refresh still works")
	p.signIn()
	require.Equal(t, 2, as.Seen().Registrations)
	require.NotEqual(t, first.ClientID, p.state().ClientID)
	require.True(t, strings.HasPrefix(p.state().Redirect, "http://127.0.0.1:2/oauth/callback/"))
}

// Sentry names itself in the answer without having announced that it does.
func TestSignInAtSentry(t *testing.T) {
	t.Parallel()
	as, auth := registering(t)
	as.Issuer = as.URL
	p := processes(t, as, 1, auth)[0]
	p.signIn()
	as.Do(func() { as.Issuer = "https://sentry.evil.example" })
	out := p.tryToSignIn(authorizations.Start{})
	require.Equal(t, "issuer_mismatch", p.state().Attempt.Error)
	require.Equal(t, authorizations.Failed, out.State)
	require.Equal(t, 1, as.Seen().Codes)
}

// An integration with an address of its own takes no answer to the sign-in of another.
func TestTheAnswerToTheSignInOfAnotherIntegrationIsRefused(t *testing.T) {
	t.Parallel()
	as := authservertest.New(t)
	own := processes(t, as, 1, object{"redirect": "own"})[0]
	back := own.leave(authorizations.Start{})
	require.NotEqual(t, authorizations.CallbackPath, back.Path)
	for _, elsewhere := range []string{authorizations.CallbackPath, back.Path + "x", authorizations.CallbackPath + "/other"} {
		wrong := back
		wrong.Path = elsewhere
		_, err := own.Callback(t.Context(), wrong, own.find)
		require.Equal(t, "other_redirect", domain.CodeOf(err), elsewhere)
	}
	require.Zero(t, as.Seen().Codes)
	out, err := own.Callback(t.Context(), back, own.find)
	require.NoError(t, err)
	require.Equal(t, authorizations.Succeeded, out.State)

	shared := processes(t, as, 1, nil)[0]
	back = shared.leave(authorizations.Start{})
	require.Equal(t, authorizations.CallbackPath, back.Path)
	back.Path = own.state().Redirect[len("http://127.0.0.1:1"):]
	_, err = shared.Callback(t.Context(), back, shared.find)
	require.Equal(t, "other_redirect", domain.CodeOf(err))
}

func TestOfflineAccessIsAskedForWhereItGivesARefreshToken(t *testing.T) {
	t.Parallel()
	as, auth := registering(t)
	grants, listed := []string{"authorization_code", "refresh_token"}, []string(nil)
	as.Metadata = func(_ string, document map[string]any) bool {
		document["grant_types_supported"] = grants
		if listed != nil {
			document["scopes_supported"] = listed
		}
		return true
	}
	var asked []string
	refused := "the scope offline_access is unknown"
	as.Back = func(q, answer url.Values) {
		asked = append(asked, q.Get("scope"))
		if strings.Contains(q.Get("scope"), "offline_access") && refused != "" {
			clear(answer)
			answer.Set("state", q.Get("state"))
			answer.Set("error", "invalid_scope")
			answer.Set("error_description", refused)
		}
	}
	auth["scopes"] = "read"
	p := processes(t, as, 1, auth)[0]
	back := p.leave(authorizations.Start{})
	out, err := p.Callback(t.Context(), back, p.find)
	require.NoError(t, err)
	require.Equal(t, authorizations.Pending, out.State)
	again := p.visit(out.To)
	_, err = p.Callback(t.Context(), back, p.find)
	require.Equal(t, domain.NotFound, domain.KindOf(err), "the first state is used up")
	back.Query = again.Query()
	out, err = p.Callback(t.Context(), back, p.find)
	require.NoError(t, err)
	require.Equal(t, authorizations.Succeeded, out.State, out.Sentence)
	require.Equal(t, []string{"read offline_access", "read"}, asked, "once without")

	refused = "the scope is not allowed" // which does not name it
	require.Equal(t, authorizations.Failed, p.tryToSignIn(authorizations.Start{}).State)
	for name, row := range map[string]struct {
		grants, listed []string
		scopes, omit   any
		want           string
	}{
		"named among the grants":      {[]string{"refresh_token"}, nil, "read", nil, "read offline_access"},
		"not among them":              {[]string{"authorization_code"}, []string{"read", "offline_access"}, "read", nil, "read"},
		"listed, and no grants named": {nil, []string{"offline_access"}, "read", nil, "read offline_access"},
		"left out":                    {[]string{"refresh_token"}, []string{"offline_access"}, "read", "omit", "read"},
		"nothing else is asked for":   {[]string{"refresh_token"}, nil, "", nil, ""},
	} {
		grants, listed, asked, refused = row.grants, row.listed, nil, ""
		auth["scopes"], auth["offline_access"] = row.scopes, row.omit
		one := processes(t, as, 1, auth)[0]
		one.signIn()
		require.Equal(t, []string{row.want}, asked, name)
	}
}

func TestWhatHasProbablyEndedAGrantIsNamed(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		issuer any
		after  time.Duration
		want   string
	}{
		"a project in testing":      {"https://accounts.google.com", 7 * 24 * time.Hour, "publishing status Testing"},
		"too many consents":         {"https://accounts.google.com", 24 * time.Hour, "100 refresh tokens"},
		"not used for a month":      {nil, 31 * 24 * time.Hour, "31 days"},
		"nothing that is known":     {nil, time.Hour, ""},
		"not used, and of a Google": {"https://accounts.google.com", 40 * 24 * time.Hour, "40 days"},
	} {
		as := authservertest.New(t)
		p := processes(t, as, 1, object{"issuer": row.issuer})[0]
		p.signIn()
		old := p.good()
		p.pass(row.after)
		as.EndAll(true)
		_, err := p.token(old)
		require.Equal(t, domain.AuthorizationRequiredCode, domain.CodeOf(err), name)
		if row.want == "" {
			require.Empty(t, p.state().Hint, name)
		}
		require.Contains(t, p.state().Hint, row.want, name)
	}
}

// Entra refuses a resource beside scopes of another one, on its page or at its token endpoint.
func TestEntraRefusingTheResourceIsExplained(t *testing.T) {
	t.Parallel()
	const description = "AADSTS9010010: The resource parameter provided in the request doesn't match with the requested scopes."
	as := authservertest.New(t)
	p := processes(t, as, 1, object{"resource": "https://api.example.com"})[0]
	as.Back = func(q, answer url.Values) {
		clear(answer)
		answer.Set("state", q.Get("state"))
		answer.Set("error", "invalid_target")
		answer.Set("error_description", description)
	}
	require.Contains(t, p.tryToSignIn(authorizations.Start{}).Sentence, "Set resource to none")
	as.Do(func() {
		as.Back = nil
		as.Fault = func(w http.ResponseWriter, _ url.Values) bool {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error": "invalid_target", "error_description": "` + description + `"}`))
			return true
		}
	})
	require.Contains(t, p.tryToSignIn(authorizations.Start{}).Sentence, "Set resource to none")
}
