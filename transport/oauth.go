package transport

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"html/template"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/domain"
)

// serveOAuth adds what browsers and authorization servers ask for, without an API key.
func (s *Server) serveOAuth(r *gin.Engine, limits *limiters) {
	limited := func(handle gin.HandlerFunc) gin.HandlerFunc {
		return func(c *gin.Context) {
			if err := limits.allow(c, "address "+c.ClientIP(), read, s.Now()); err != nil {
				s.refuse(c, err)
				return
			}
			handle(c)
		}
	}
	r.GET("/oauth/authorize/:link", limited(s.browserPage(s.authorizationPage)))
	r.POST("/oauth/authorize/:link", limited(s.browserPage(s.continueAuthorization)))
	for _, path := range []string{authorizations.CallbackPath, authorizations.CallbackPath + "/:callback"} {
		r.GET(path, limited(s.browserPage(s.finishAuthorization)))
		r.POST(path, limited(s.browserPage(s.chooseAccount)))
	}
	r.GET("/oauth/clients/:document", limited(s.clientDocument))
	s.serveResource(r, limited)
}

const pageStyle = `body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem}dt{color:#555}dd{margin:0 0 .7rem;overflow-wrap:anywhere}button{font:inherit;padding:.5rem 1.2rem}`

// pagePolicy permits our own style and nothing else. It has no form-action: browsers apply
// that to the redirect which follows the form, and to those of the authorization server.
func pagePolicy() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; frame-ancestors 'none'; base-uri 'none'"
}

var pages = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{{.Title}}</title><style>` + pageStyle + `</style></head>
<body><h1>{{.Title}}</h1>
{{range .Text}}<p>{{.}}</p>
{{end}}{{with .Page}}<dl>
<dt>Integration</dt><dd>{{.Integration}}</dd>
<dt>Workspace</dt><dd>{{.Workspace}}</dd>
<dt>On behalf of</dt><dd>{{if .Subject}}{{.Subject}}{{else}}the workspace itself{{end}}</dd>
<dt>Where you sign in</dt><dd>{{.Host}}</dd>
<dt>What is asked for</dt><dd>{{range .Scopes}}<code>{{.}}</code> {{else}}what the service grants by default{{end}}</dd>
</dl>
<form method="post"><button>Continue to {{.Host}}</button></form>
{{end}}{{with .Choices}}<form method="post">
{{range .}}<fieldset><legend>{{.Name}}</legend>
{{$name := .Name}}{{range .Choices}}<p><label><input type="radio" name="{{$name}}" value="{{.Value}}" required> {{if .Label}}{{.Label}} <code>{{.Value}}</code>{{else}}{{.Value}}{{end}}</label></p>
{{end}}</fieldset>
{{end}}<p><button>Use these</button></p></form>
{{end}}</body></html>
`))

type shownPage struct {
	Title string
	Text  []string
	Page  *authorizations.Page

	Choices []shownChoice
}

// shownChoice is a value of an account that a person chooses.
type shownChoice struct {
	Name    string
	Choices []domain.Choice
}

// browserPage prepares the answer to a browser. What a browser fetches in advance is
// answered with nothing before anything is done: it would spend what is good once.
func (s *Server) browserPage(handle gin.HandlerFunc) gin.HandlerFunc {
	policy := pagePolicy()
	return func(c *gin.Context) {
		for name, value := range map[string]string{
			"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			c.Header(name, value)
		}
		if isPrefetch(c.Request.Header) {
			c.Status(http.StatusNoContent)
			c.Writer.WriteHeaderNow()
			return
		}
		handle(c)
	}
}

func isPrefetch(h http.Header) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Moz", "X-Purpose"} {
		if value := strings.ToLower(h.Get(name)); strings.Contains(value, "prefetch") || strings.Contains(value, "prerender") || strings.Contains(value, "preview") {
			return true
		}
	}
	return false
}

func (s *Server) page(c *gin.Context, status int, p shownPage) {
	c.Header("Content-Type", "text/html; charset=utf-8")
	c.Status(status)
	if err := pages.Execute(c.Writer, p); err != nil {
		s.Log.DebugContext(c, "writing a page failed", slog.Any("err", err))
	}
}

// failedPage shows an error to a person: a sentence of ours, never what came in the URL.
func (s *Server) failedPage(c *gin.Context, err error) {
	status, sentence := statuses[domain.KindOf(err)], "Something failed here; the log of the service has it."
	if refusal, ok := errors.AsType[*domain.Error](err); ok {
		sentence = strings.ToUpper(refusal.Message[:1]) + refusal.Message[1:] + "."
		c.Set(errorCodeAttribute, refusal.Code)
	} else {
		s.Log.ErrorContext(c, "request failed", slog.String("request_id", requestID(c)), slog.Any("err", err))
	}
	s.page(c, status, shownPage{Title: "Not signed in", Text: []string{sentence}})
}

func (s *Server) authorizationPage(c *gin.Context) {
	p, err := s.Commands.AuthorizationPage(c.Request.Context(), c.Param("link"))
	if err != nil {
		s.failedPage(c, err)
		return
	}
	s.page(c, http.StatusOK, shownPage{Title: "Permit access", Page: &p, Text: []string{
		"Continue only if you asked for this yourself: the sender of this link will be able to use what you permit.",
	}})
}

// continueAuthorization binds the attempt to the browser, then sends it to the authorization
// server.
func (s *Server) continueAuthorization(c *gin.Context) {
	link := c.Param("link")
	p, err := s.Commands.AuthorizationPage(c.Request.Context(), link)
	var to, value string
	if err == nil {
		present, _ := c.Cookie(s.cookieName(p.Cookie))
		to, value, err = s.Commands.ContinueAuthorization(c.Request.Context(), link, present)
	}
	if err != nil {
		s.failedPage(c, err)
		return
	}
	http.SetCookie(c.Writer, &http.Cookie{ //nolint:gosec // it is secure but on the loopback
		Name: s.cookieName(p.Cookie), Value: value, Path: "/", MaxAge: int(time.Hour.Seconds()), Secure: s.secureCookies(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	c.Redirect(http.StatusSeeOther, to)
}

// secureCookies reports whether browsers reach the service by https: without a public URL
// it is on the loopback of a laptop.
func (s *Server) secureCookies() bool {
	u, err := url.Parse(s.Commands.PublicURL())
	return err == nil && u.Scheme == "https"
}

func (s *Server) cookieName(name string) string {
	if s.secureCookies() {
		return "__Host-" + name
	}
	return name
}

// returned reads what a browser comes back with.
func (s *Server) returned(c *gin.Context) (authorizations.Return, error) {
	q, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		return authorizations.Return{}, domain.Errorf(domain.Invalid, "query_invalid", "the address of this page is malformed")
	}
	return authorizations.Return{Path: c.Request.URL.Path, Query: q, Cookie: func(name string) string {
		value, _ := c.Cookie(s.cookieName(name))
		return value
	}}, nil
}

func (s *Server) finishAuthorization(c *gin.Context) {
	back, err := s.returned(c)
	var out authorizations.Outcome
	if err == nil {
		out, err = s.Commands.FinishAuthorization(c.Request.Context(), back)
	}
	if err != nil {
		s.failedPage(c, err)
		return
	}
	s.outcomePage(c, out)
}

// chooseAccount takes what a person chooses of their account, in the browser that they have
// just signed in with.
func (s *Server) chooseAccount(c *gin.Context) {
	back, err := s.returned(c)
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxTestBody)
	if err == nil && c.Request.ParseForm() != nil {
		err = domain.Errorf(domain.Invalid, "form_invalid", "the form of this page is malformed")
	}
	var out authorizations.Outcome
	if err == nil {
		wanted := map[string]string{}
		for name := range c.Request.PostForm {
			wanted[name] = c.Request.PostForm.Get(name)
		}
		out, err = s.Commands.ChooseInBrowser(c.Request.Context(), back, wanted)
	}
	if err != nil {
		s.failedPage(c, err)
		return
	}
	s.outcomePage(c, out)
}

// outcomePage shows a person what their sign-in led to, or sends them on.
func (s *Server) outcomePage(c *gin.Context, out authorizations.Outcome) {
	if out.To != "" {
		c.Redirect(http.StatusSeeOther, out.To)
		return
	}
	switch out.State {
	case authorizations.Succeeded:
		page := shownPage{Title: "Signed in", Text: []string{"You have signed in to " + out.Integration + ". You can close this page."}}
		if len(out.MissingScopes) > 0 {
			page.Text = append(page.Text, "Not everything was permitted that was asked for. Missing: "+strings.Join(out.MissingScopes, ", ")+".")
		}
		if len(out.Choices) > 0 {
			page.Title = "Choose"
			page.Text[0] = "You have signed in to " + out.Integration + ". Your account has several of these: choose which of them to use."
		}
		for _, name := range slices.Sorted(maps.Keys(out.Choices)) {
			page.Choices = append(page.Choices, shownChoice{Name: name, Choices: out.Choices[name]})
		}
		s.page(c, http.StatusOK, page)
	case authorizations.Pending:
		s.page(c, http.StatusOK, shownPage{Title: "Signing in", Text: []string{"This takes a moment. Reload the page."}})
	default:
		s.page(c, http.StatusConflict, shownPage{Title: "Not signed in", Text: []string{out.Sentence, "Whatever was permitted before is as it was."}})
	}
}

// clientDocument serves the client metadata document to authorization servers.
func (s *Server) clientDocument(c *gin.Context) {
	id, ok := strings.CutSuffix(c.Param("document"), ".json")
	var document []byte
	if ok {
		document, ok = s.Commands.ClientDocument(id)
	}
	if !ok {
		s.refuse(c, domain.Errorf(domain.NotFound, "client_not_found", "there is no such client"))
		return
	}
	c.Header("Cache-Control", keySetAge)
	c.Data(http.StatusOK, "application/json", document)
}
