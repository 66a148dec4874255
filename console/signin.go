package console

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// signInPage has what the page of the sign-in shows.
type signInPage struct {
	To, Wrong string
	Provider  string // the host of the OpenID provider; "": there is none
	Begin     string // where one signs in with it
	Elsewhere string // where one signs out there too
}

func (c *Console) signInPage(to, wrong string) signInPage {
	d := signInPage{To: to, Wrong: wrong}
	if c.provider != nil {
		d.Provider = hostOf(c.provider.Issuer())
		d.Begin = Path + "/.provider?" + url.Values{"to": {to}}.Encode()
	}
	return d
}

func hostOf(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Host
	}
	return address
}

func (c *Console) showSignIn(w http.ResponseWriter, r *http.Request) {
	p := &page{Console: c, w: w, r: r}
	d := c.signInPage(ours(r.URL.Query().Get("to")), "")
	if c.provider != nil && r.URL.Query().Has("out") {
		d.Elsewhere = c.provider.SignOutURL(r.Context(), c.publicURL+Path+"/.sign-in")
	}
	p.Title, p.Data = "Sign in", d
	p.show("signin", http.StatusOK)
}

// identify asks the API whose a key is. The error is a *problem with status 401 if it knows no such
// key.
func (p *page) identify(key string) (who me, err error) {
	got, err := p.doWith(key, ask{method: http.MethodGet, path: "/v1/auth/me"})
	if err == nil {
		err = decode(got.body, &who)
	}
	return who, err
}

// takeKey signs in with an API key, if the API knows it.
func (c *Console) takeKey(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	p := &page{Console: c, w: w, r: r, Title: "Sign in"}
	to, key := ours(r.FormValue("to")), strings.TrimSpace(r.FormValue("key"))
	who, err := p.identify(key)
	if refused, ok := errors.AsType[*problem](err); ok && refused.Status == http.StatusUnauthorized {
		p.Data = c.signInPage(to, "This is no valid API key of this service, or it has expired.")
		p.show("signin", http.StatusUnauthorized)
		return
	}
	if err != nil {
		c.fail(p, err)
		return
	}
	c.signIn(w, key, who.ID, time.Time{})
	http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // a path of the console
}

// useLink signs in with a link that works once.
func (c *Console) useLink(w http.ResponseWriter, r *http.Request) {
	p := &page{Console: c, w: w, r: r}
	key, ok := c.links.use(r.PathValue("token"))
	if !ok {
		c.fail(p, &problem{Status: http.StatusNotFound, Title: "Used already", Detail: "This link has signed someone in already, or the service has started again since. Sign in with an API key.", Code: "link_used"})
		return
	}
	who, err := p.identify(key)
	if err != nil {
		c.fail(p, err)
		return
	}
	c.signIn(w, key, who.ID, time.Time{})
	http.Redirect(w, r, ours(r.URL.Query().Get("to")), http.StatusSeeOther) //nolint:gosec // a path of the console
}

// signOut ends the session, so that a copy of its cookie is of no use anywhere.
func (c *Console) signOut(w http.ResponseWriter, r *http.Request) {
	s, ok := c.session(r)
	c.setCookie(w, c.cookieName(), "", -1)
	if ok {
		if err := c.sessions.End(r.Context(), s.Owner, s.ID, s.Started); err != nil {
			c.log.WarnContext(r.Context(), "a session of the console was ended in this process only", slog.Any("err", err))
			c.fail(&page{Console: c, w: w, r: r}, &problem{
				Status: http.StatusServiceUnavailable, Title: "Signed out here", Code: "sessions_unavailable",
				Detail: "This browser is signed out, but the service could not record that. A copy of the cookie that somebody made works until " + s.Started.Add(ValidFor).UTC().Format("15:04") + " UTC; if that matters, revoke the API key.",
			})
			return
		}
	}
	to := Path + "/.sign-in"
	if ok && !s.Confirmed.IsZero() {
		to += "?out"
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}
