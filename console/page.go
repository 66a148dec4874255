package console

import (
	"bytes"
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

// A page is a request for a page, and what every template of one has.
type page struct {
	*Console
	w       http.ResponseWriter
	r       *http.Request
	session session

	Title     string
	Workspace string
	Nav       string // the entry of the navigation that is current
	Me        me
	Problem   *problem // why something failed; nil: nothing did
	Flash     string   // what was done
	UTC       bool     // times are shown in UTC, not in the zone of the reader
	Data      any

	names map[string]string // of API keys, once they are known
}

// me is the key of the session.
type me struct {
	Type        string     `json:"type"` // api_key or token
	ID          string     `json:"id"`
	WorkspaceID string     `json:"workspace_id"` // "" for an operator
	Workspaces  []string   `json:"workspaces"`   // nil: all
	Name        string     `json:"name"`
	Permissions []string   `json:"permissions"`
	ExpiresAt   *time.Time `json:"expires_at"`
}

// May reports whether the key has a permission. The API decides; this keeps buttons away that
// it would refuse.
func (m me) May(permission string) bool {
	return slices.Contains(m.Permissions, permission) || slices.Contains(m.Permissions, "Workspace.admin")
}

// Base is where the pages of the workspace are.
func (p *page) Base() string { return Path + "/" + url.PathEscape(p.Workspace) }

// Version is the one of the product.
func (p *page) Version() string { return p.version }

// Here is the path and the query of the page.
func (p *page) Here() string { return p.r.URL.RequestURI() }

// Query returns a parameter of the page.
func (p *page) Query(name string) string { return p.r.URL.Query().Get(name) }

// With returns the address of the page with other parameters: pairs of a name and a value,
// "" to leave one out.
func (p *page) With(pairs ...string) string {
	q := p.r.URL.Query()
	q.Del("done")
	for n := 0; n+1 < len(pairs); n += 2 {
		if q.Del(pairs[n]); pairs[n+1] != "" {
			q.Set(pairs[n], pairs[n+1])
		}
	}
	if len(q) == 0 {
		return p.r.URL.Path
	}
	return p.r.URL.Path + "?" + q.Encode()
}

// A handler serves a page to someone who has signed in.
type handler func(*page) error

// signedIn runs a handler for a session. Without one it leads to the sign-in, and back.
func (c *Console) signedIn(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p := &page{Console: c, w: w, r: r, Workspace: r.PathValue("workspace"), UTC: cookie(r, "console_zone") == "utc"}
		s, ok := c.session(r)
		if !ok {
			c.leadToSignIn(p)
			return
		}
		p.session = s
		if c.confirm(p) {
			return
		}
		var err error
		p.Me, err = p.identify(s.Key)
		if refused, is := errors.AsType[*problem](err); is && refused.Status == http.StatusUnauthorized {
			c.setCookie(w, c.cookieName(), "", -1)
			c.leadToSignIn(p)
			return
		}
		if err != nil {
			c.fail(p, err)
			return
		}
		if now := c.now(); now.Sub(s.Seen) >= renewed {
			s.Seen = now
			c.keep(w, s)
		}
		p.Flash = flashes[r.URL.Query().Get("done")]
		if err := h(p); err != nil {
			c.fail(p, err)
		}
	}
}

// leadToSignIn answers someone without a session. A part of a page gets no other page.
func (c *Console) leadToSignIn(p *page) {
	if p.isPart() {
		c.fail(p, &problem{Status: http.StatusUnauthorized, Title: "Signed out", Detail: "The session has ended. Reload the page to sign in again.", Code: "signed_out"})
		return
	}
	if p.r.Method == http.MethodPost { // loading it again sends the form again, so that nothing that was written is lost
		c.fail(p, &problem{Status: http.StatusUnauthorized, Title: "Signed out", Detail: "The session has ended, and nothing was changed. Sign in again in another tab, then reload this page to send the form again.", Code: "signed_out"})
		return
	}
	to := Path + "/.sign-in"
	if p.r.URL.Path != Path+"/" {
		to += "?" + url.Values{"to": {p.r.URL.RequestURI()}}.Encode()
	}
	http.Redirect(p.w, p.r, to, http.StatusSeeOther)
}

// isPart reports whether htmx asks for a part of a page.
func (p *page) isPart() bool {
	return p.r.Header.Get("Hx-Request") == "true" && p.r.Header.Get("Hx-History-Restore-Request") == ""
}

// fail answers with why something failed.
func (c *Console) fail(p *page, err error) {
	refused, ok := errors.AsType[*problem](err)
	if !ok {
		c.log.ErrorContext(p.r.Context(), "a page of the console failed", slog.String("path", p.r.URL.Path), slog.Any("err", err))
		refused = &problem{Status: http.StatusInternalServerError, Title: "The page failed", Detail: "The server log has the reason.", Code: "internal"}
	}
	p.Problem, p.Title = refused, cmp.Or(refused.Title, "Something failed")
	if p.isPart() {
		p.part("error", "problem", refused.Status)
		return
	}
	p.show("error", refused.Status)
}

// render answers with a page. It returns nil, for a handler to return.
func (p *page) render(name, title string, data any) error {
	p.Title, p.Data = title, data
	p.show(name, http.StatusOK)
	return nil
}

// show writes a page.
func (p *page) show(name string, status int) { p.part(name, "layout", status) }

// part writes one template of a page.
func (p *page) part(name, part string, status int) {
	var b bytes.Buffer
	if err := p.pages.execute(&b, name, part, p); err != nil {
		p.log.ErrorContext(p.r.Context(), "a template of the console failed", slog.String("template", name), slog.Any("err", err))
		http.Error(p.w, "the page failed; the server log has the reason", http.StatusInternalServerError)
		return
	}
	p.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	p.w.Header().Add("Vary", "HX-Request")
	p.w.WriteHeader(status)
	_, _ = p.w.Write(b.Bytes()) // a reader who has gone needs no answer
}

// redirect leads to another page after a change, with the name of what was done. It returns nil,
// for a handler to return.
func (p *page) redirect(to, done string) error {
	if done != "" {
		to += "?" + url.Values{"done": {done}}.Encode()
	}
	http.Redirect(p.w, p.r, to, http.StatusSeeOther)
	return nil
}

func cookie(r *http.Request, name string) string {
	if c, err := r.Cookie(name); err == nil {
		return c.Value
	}
	return ""
}

// ours returns a path of the console, or otherwise its start: a link can't lead elsewhere.
func ours(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(u.Path, Path+"/") || strings.Contains(to, "\\") || path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") {
		return Path + "/"
	}
	return to
}

// Who returns the name of an API key, "" if this key may not know, or of a person.
func (p *page) Who(id string) string {
	if person, ok := strings.CutPrefix(id, "oidc:"); ok {
		return person
	}
	if p.names == nil {
		p.names = map[string]string{p.Me.ID: p.Me.Name}
		if p.Me.May("ApiKey.manage") {
			var got struct {
				Items []apiKey `json:"items"`
			}
			if p.get("/api-keys", nil, &got) == nil {
				for _, k := range got.Items {
					p.names[k.ID] = k.Name
				}
			}
		}
	}
	return p.names[id]
}

// one reads the integration of the path.
func (p *page) one() (i integration, err error) {
	p.Nav = "integrations"
	err = p.get("/integrations/"+p.part0(), nil, &i)
	return i, err
}

// part0 is the name of the integration, escaped for the API.
func (p *page) part0() string { return url.PathEscape(p.r.PathValue("name")) }

// About is the address of a page of the integration of the path.
func (p *page) About() string { return p.Base() + "/integrations/" + p.part0() }
