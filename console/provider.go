package console

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

// SignIn has persons sign in with an OpenID provider.
type SignIn interface {
	// Issuer returns the URL of the provider.
	Issuer() string
	// Begin returns where to send a browser, and what Finish needs. With silent the provider asks
	// the person nothing; then it returns an error while the provider is not reachable.
	Begin(ctx context.Context, callback, state string, silent bool) (to string, secret []byte, err error)
	// Finish takes what the browser came back with, and returns what the API takes as a bearer
	// token. An error that is a *SignInError is shown to the person.
	Finish(ctx context.Context, callback string, secret []byte, came url.Values) (credential string, err error)
	// SignOutURL returns where a browser signs out at the provider and comes back, "" if nowhere.
	SignOutURL(ctx context.Context, back string) string
}

// A SignInError is why somebody could not sign in.
type SignInError struct {
	Status int    // of HTTP
	Code   string // for programs
	Detail string // a sentence for the person
}

// Error implements error.
func (r *SignInError) Error() string { return r.Detail }

const (
	callbackPath = Path + "/.provider/callback"
	signInWithin = 10 * time.Minute
	confirmAfter = 15 * time.Minute // a page asks the provider again, silently, whether the person may still enter
)

// flow is a sign-in that is under way, sealed in a cookie: only the browser that began it ends it.
type flow struct {
	State  string    `json:"s"`
	Secret []byte    `json:"x"` // of the SignIn
	To     string    `json:"t"`
	Begun  time.Time `json:"b"`
	Silent bool      `json:"q,omitempty"`
}

func (c *Console) flowCookie() string { return c.cookieName() + "-sign-in" }

func (c *Console) callback() string { return c.publicURL + callbackPath }

// beginSignIn sends a browser to the provider.
func (c *Console) beginSignIn(w http.ResponseWriter, r *http.Request) {
	p := &page{Console: c, w: w, r: r}
	if c.provider == nil {
		c.fail(p, &problem{Status: http.StatusNotFound, Title: "Not found", Detail: "There is no OpenID provider to sign in with.", Code: "page_not_found"})
		return
	}
	if err := c.sendToProvider(w, r, ours(r.URL.Query().Get("to")), false); err != nil {
		c.fail(p, refusalOf(err))
	}
}

func (c *Console) sendToProvider(w http.ResponseWriter, r *http.Request, to string, silent bool) error {
	f := flow{State: rand.Text(), To: to, Begun: c.now(), Silent: silent}
	at, secret, err := c.provider.Begin(r.Context(), c.callback(), f.State, silent)
	if err != nil {
		return err
	}
	f.Secret = secret
	data, err := json.Marshal(f) //nolint:gosec // it is sealed
	if err != nil {
		return err
	}
	sealed := c.seal.Seal(nil, nil, data, []byte(c.flowCookie())) //nolint:gosec // the nonce is random, and in the text
	c.setCookie(w, c.flowCookie(), base64.RawURLEncoding.EncodeToString(sealed), signInWithin)
	http.Redirect(w, r, at, http.StatusSeeOther)
	return nil
}

// flow returns the sign-in of a browser that comes back with a state.
func (c *Console) flow(r *http.Request, state string) (f flow, ok bool) {
	sealed, err := base64.RawURLEncoding.DecodeString(cookie(r, c.flowCookie()))
	if err != nil {
		return f, false
	}
	data, err := c.seal.Open(nil, nil, sealed, []byte(c.flowCookie()))
	if err != nil || json.Unmarshal(data, &f) != nil {
		return flow{}, false
	}
	return f, subtle.ConstantTimeCompare([]byte(f.State), []byte(state)) == 1 && c.now().Before(f.Begun.Add(signInWithin))
}

// finishSignIn signs in who comes back from the provider. One that was asked silently and does not
// confirm a session ends it.
func (c *Console) finishSignIn(w http.ResponseWriter, r *http.Request) {
	p := &page{Console: c, w: w, r: r, Title: "Sign in"}
	came := r.URL.Query()
	f, ok := c.flow(r, came.Get("state"))
	if c.provider == nil || !ok {
		p.Data = c.signInPage(Path+"/", "This sign-in was not begun in this browser, or more than ten minutes ago. Begin again.")
		p.show("signin", http.StatusBadRequest)
		return
	}
	c.setCookie(w, c.flowCookie(), "", -1)
	credential, err := c.provider.Finish(r.Context(), c.callback(), f.Secret, came)
	var who me
	if err == nil {
		who, err = p.identify(credential)
	}
	before, had := c.session(r)
	switch {
	case err == nil && f.Silent && had && before.Owner == who.ID:
		before.Key, before.Confirmed, before.Seen = credential, c.now(), c.now() // its end stays what it is
		c.keep(w, before)
	case err == nil:
		c.signIn(w, credential, who.ID, c.now())
	default:
		why := refusalOf(err)
		if why.Status == http.StatusInternalServerError {
			c.log.ErrorContext(r.Context(), "a sign-in failed", slog.Any("err", err))
		}
		wrong := "Not signed in: " + why.Detail + "."
		if f.Silent && had && why.Status < http.StatusInternalServerError { // the provider does not vouch any more
			c.setCookie(w, c.cookieName(), "", -1)
			_ = c.sessions.End(r.Context(), before.Owner, before.ID, before.Started) // it has ended here; elsewhere it ends with what the provider gave
			wrong = "The session has ended. Sign in again."
		}
		p.Data = c.signInPage(f.To, wrong)
		p.show("signin", why.Status)
		return
	}
	http.Redirect(w, r, ours(f.To), http.StatusSeeOther)
}

// refusalOf returns an error of a sign-in as a person may see it.
func refusalOf(err error) *problem {
	if refused, ok := errors.AsType[*problem](err); ok {
		return refused
	}
	if r, ok := errors.AsType[*SignInError](err); ok {
		return &problem{Status: r.Status, Title: "Not signed in", Detail: r.Detail, Code: r.Code}
	}
	return &problem{Status: http.StatusInternalServerError, Title: "Not signed in", Detail: "something failed here; the server log has the reason", Code: "internal"}
}

// confirm has the provider confirm a session that it has not for a while, where that asks the
// person nothing: on the way to a whole page. It reports whether it has answered. While the
// provider is not reachable, the session goes on until what it gave ends.
func (c *Console) confirm(p *page) bool {
	if p.session.Confirmed.IsZero() || c.provider == nil || p.r.Method != http.MethodGet || p.isPart() || p.r.Header.Get("Sec-Fetch-Dest") == "empty" ||
		c.now().Sub(p.session.Confirmed) < confirmAfter {
		return false
	}
	err := c.sendToProvider(p.w, p.r, ours(p.r.URL.RequestURI()), true)
	if err != nil {
		c.log.DebugContext(p.r.Context(), "the OpenID provider can't confirm a session", slog.Any("err", err))
	}
	return err == nil
}
