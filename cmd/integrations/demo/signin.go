package demo

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// persons is the authorization server of the hospital for persons (RFC 6749, 4.1, with PKCE),
// where programs register themselves (RFC 7591). A person signs in with a name alone.
type persons struct {
	url string

	mu      sync.Mutex
	clients map[string][]string // redirect URIs, by client id
	browser map[string]string   // who signed in, by the cookie of the browser
	codes   map[string]code
	refresh map[string]string // whose tokens, by refresh token
	tokens  map[string]string // who, by access token
}

// code is what a person has permitted, until it is exchanged.
type code struct{ client, redirect, challenge, person string }

func newPersons(at string) *persons {
	return &persons{url: at, clients: map[string][]string{}, browser: map[string]string{}, codes: map[string]code{}, refresh: map[string]string{}, tokens: map[string]string{}}
}

const (
	browserCookie = "hospital"
	tokenSeconds  = 300
)

// routes adds the endpoints of the authorization server, and the document by which the MCP
// server at resource names it (RFC 9728).
func (p *persons) routes(mux *http.ServeMux, resource string) {
	mux.HandleFunc("GET /.well-known/oauth-protected-resource"+resource, func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusOK, map[string]any{"resource": p.url + resource, "authorization_servers": []string{p.url}, "scopes_supported": []string{"records"}})
	})
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusOK, map[string]any{
			"issuer": p.url, "authorization_endpoint": p.url + "/authorize", "token_endpoint": p.url + "/persons/token", "registration_endpoint": p.url + "/register",
			"code_challenge_methods_supported": []string{"S256"}, "token_endpoint_auth_methods_supported": []string{"none"},
			"grant_types_supported": []string{"authorization_code", "refresh_token"}, "response_types_supported": []string{"code"},
		})
	})
	mux.HandleFunc("POST /register", p.register)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /authorize", p.permit)
	mux.HandleFunc("POST /signin", p.signIn)
	mux.HandleFunc("POST /persons/token", p.token)
}

func (p *persons) register(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		RedirectURIs []string `json:"redirect_uris"`
	}
	if err := decode(r, &asked); err != nil || len(asked.RedirectURIs) == 0 {
		respond(w, http.StatusBadRequest, map[string]any{"error": "invalid_redirect_uri"})
		return
	}
	id := rand.Text()
	p.mu.Lock()
	p.clients[id] = asked.RedirectURIs
	p.mu.Unlock()
	respond(w, http.StatusCreated, map[string]any{"client_id": id, "redirect_uris": asked.RedirectURIs, "token_endpoint_auth_method": "none"})
}

var page = template.Must(template.New("").Parse(`<!doctype html><meta charset="utf-8"><title>Demo hospital</title>
<h1>Demo hospital</h1>
{{if .Person}}<p>{{.Person}}, may this program read your records?</p>
<form method="post" action="/authorize?{{.Query}}"><button name="permit" value="yes">Allow</button> <button name="permit" value="no">Deny</button></form>
{{else}}<p>Who are you? Any name will do.</p>
<form method="post" action="/signin?{{.Query}}"><input name="name" value="Ada"> <button>Sign in</button></form>
{{end}}`))

// authorize asks who the person is, and then what may be done in their name.
func (p *persons) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	p.mu.Lock()
	known := slices.Contains(p.clients[q.Get("client_id")], q.Get("redirect_uri"))
	p.mu.Unlock()
	if !known || q.Get("code_challenge_method") != "S256" || q.Get("response_type") != "code" {
		respond(w, http.StatusBadRequest, map[string]any{"error": "invalid_request"})
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = page.Execute(w, map[string]any{"Person": p.person(r), "Query": template.URL(q.Encode())}) //nolint:gosec // encoded
}

// person returns who signed in with the browser of a request, "" for nobody.
func (p *persons) person(r *http.Request) string {
	cookie, err := r.Cookie(browserCookie)
	if err != nil {
		return ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.browser[cookie.Value]
}

func (p *persons) signIn(w http.ResponseWriter, r *http.Request) {
	name := r.PostFormValue("name")
	if len(name) > 64 {
		name = name[:64]
	}
	id := rand.Text()
	p.mu.Lock()
	p.browser[id] = name
	p.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: browserCookie, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}) //nolint:gosec // there is no TLS on loopback
	http.Redirect(w, r, "/authorize?"+r.URL.RawQuery, http.StatusSeeOther)                                                     //nolint:gosec // to a path of its own
}

// permit sends the person back with a code, or with a denial.
func (p *persons) permit(w http.ResponseWriter, r *http.Request) {
	q, person := r.URL.Query(), p.person(r)
	answer := url.Values{"state": {q.Get("state")}}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case person == "" || !slices.Contains(p.clients[q.Get("client_id")], q.Get("redirect_uri")):
		respond(w, http.StatusBadRequest, map[string]any{"error": "invalid_request"})
		return
	case r.PostFormValue("permit") != "yes":
		answer.Set("error", "access_denied")
	default:
		text := rand.Text()
		p.codes[text] = code{q.Get("client_id"), q.Get("redirect_uri"), q.Get("code_challenge"), person}
		answer.Set("code", text)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+answer.Encode(), http.StatusSeeOther) //nolint:gosec // registered, as was checked
}

// token gives tokens for a code, once, and for a refresh token, which it replaces.
func (p *persons) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var person string
	switch r.PostFormValue("grant_type") {
	case "authorization_code":
		given := p.codes[r.PostFormValue("code")]
		delete(p.codes, r.PostFormValue("code"))
		sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
		if given.client == r.PostFormValue("client_id") && given.redirect == r.PostFormValue("redirect_uri") && given.challenge == base64.RawURLEncoding.EncodeToString(sum[:]) {
			person = given.person
		}
	case "refresh_token":
		person = p.refresh[r.PostFormValue("refresh_token")]
		delete(p.refresh, r.PostFormValue("refresh_token"))
	}
	if person == "" {
		respond(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	access, next := rand.Text(), rand.Text()
	p.tokens[access], p.refresh[next] = person, person
	time.AfterFunc(tokenSeconds*time.Second, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.tokens, access)
	})
	respond(w, http.StatusOK, map[string]any{"access_token": access, "refresh_token": next, "token_type": "Bearer", "expires_in": tokenSeconds})
}
