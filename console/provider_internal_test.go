package console

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// login stands for an OpenID provider; a real one is in the tests with a browser, whose clock does
// not pass.
type login struct {
	down   bool
	silent []bool // of each sign-in that was begun
	refuse error
}

func (*login) Issuer() string { return "https://login.example.com" }

func (l *login) Begin(_ context.Context, callback, state string, silent bool) (string, []byte, error) {
	if l.down {
		return "", nil, errors.New("it is down")
	}
	l.silent = append(l.silent, silent)
	return "https://login.example.com/authorize?" + url.Values{"state": {state}, "redirect_uri": {callback}}.Encode(), []byte("secret of " + state), nil
}

func (l *login) Finish(_ context.Context, _ string, secret []byte, came url.Values) (string, error) {
	if string(secret) != "secret of "+came.Get("state") {
		return "", errors.New("another sign-in")
	}
	return "its_ann", l.refuse
}

func (*login) SignOutURL(context.Context, string) string { return "" }

// people is an API that knows one person, and has one workspace for them.
func people(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer its_ann" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.URL.Path == "/v1/auth/me" {
		_, _ = io.WriteString(w, `{"type": "token", "id": "oidc:ann", "name": "ann", "workspaces": ["acme", "beta"], "permissions": []}`)
		return
	}
	w.WriteHeader(http.StatusNotFound)
}

func TestTheProviderConfirmsASessionThatGoesOn(t *testing.T) {
	t.Parallel()
	clock, provider := now, &login{}
	at := func() time.Time { return clock }
	sessions, err := access.OpenSessions(t.Context(), natstest.Connect(t), 1, ValidFor, at, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	c, err := New(Config{API: http.HandlerFunc(people), Key: make([]byte, 32), PublicURL: "https://integrations.example.com", Sessions: sessions, SignIn: provider, Now: at, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	cookies := map[string]string{}
	send := func(path string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		for name, value := range cookies {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		for n := 0; n+1 < len(header); n += 2 {
			r.Header.Set(header[n], header[n+1])
		}
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		for _, one := range w.Result().Cookies() {
			if cookies[one.Name] = one.Value; one.MaxAge < 0 {
				delete(cookies, one.Name)
			}
		}
		return w
	}
	comeBack := func(to *httptest.ResponseRecorder) *httptest.ResponseRecorder {
		u, err := url.Parse(to.Header().Get("Location"))
		require.NoError(t, err)
		require.Equal(t, "login.example.com", u.Host)
		return send("/console/.provider/callback?" + url.Values{"code": {"c"}, "state": {u.Query().Get("state")}}.Encode())
	}
	const page = "/console/?after=x"
	require.Equal(t, page, comeBack(send("/console/.provider?to="+url.QueryEscape(page))).Header().Get("Location"))
	r := httptest.NewRequest(http.MethodGet, page, nil)
	r.AddCookie(&http.Cookie{Name: "__Host-console", Value: cookies["__Host-console"]})
	first, ok := c.session(r)
	require.True(t, ok)
	clock = clock.Add(confirmAfter - time.Second)
	require.Equal(t, 200, send(page).Code)

	clock = clock.Add(time.Second)
	require.Equal(t, 200, send(page, "HX-Request", "true").Code, "a part of a page goes nowhere else")
	provider.down = true
	require.Equal(t, 200, send(page).Code, "the provider can't be reached")
	provider.down = false
	require.Equal(t, page, comeBack(send(page)).Header().Get("Location"))
	require.Equal(t, []bool{false, true}, provider.silent)
	require.Equal(t, 200, send(page).Code)
	r = httptest.NewRequest(http.MethodGet, page, nil)
	r.AddCookie(&http.Cookie{Name: "__Host-console", Value: cookies["__Host-console"]})
	second, ok := c.session(r)
	require.True(t, ok)
	require.Equal(t, []any{first.ID, first.Started}, []any{second.ID, second.Started}, "it is the same session, with the same end")

	clock = clock.Add(confirmAfter)
	copied := cookies["__Host-console"]
	provider.refuse = &SignInError{Status: http.StatusUnauthorized, Code: "sign_in_refused", Detail: "login_required"}
	ended := comeBack(send(page))
	require.Equal(t, http.StatusUnauthorized, ended.Code)
	require.True(t, strings.Contains(ended.Body.String(), "The session has ended. Sign in again."))
	require.Empty(t, cookies["__Host-console"])
	cookies["__Host-console"] = copied
	require.Contains(t, send(page).Header().Get("Location"), "/console/.sign-in", "a copy of its cookie is of no use")
}
