// Package authservertest is an authorization server for tests: it rotates refresh tokens,
// and ends the whole family of one that is presented twice.
//
// Its promise: it checks what a careful authorization server checks, and counts what a
// careful client must not do.
package authservertest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Server is the authorization server, and an API that takes its tokens. Change its fields
// before the first request, or under Do.
type Server struct {
	URL string

	Lifetime     int                                            // seconds of an access token. 0: none is named
	Grace        time.Duration                                  // in which a spent refresh token is answered again
	Static       bool                                           // refresh tokens stay as they are
	NoRefresh    bool                                           // no refresh tokens
	KeepRefresh  bool                                           // refreshes answer without a refresh token, and the old one stays
	Account      string                                         // the sub of the ID token. "": there is none
	GrantScope   *string                                        // the scope of answers; nil: none is named
	Issuer       string                                         // iss of the callback. "": none
	Method       string                                         // basic, body or none: how clients must authenticate
	Secret       string                                         // of the client
	Answer       func(http.ResponseWriter, map[string]any) bool // writes an answer with tokens in its own way
	Fault        func(w http.ResponseWriter, grant url.Values) bool
	AfterIssue   func(w http.ResponseWriter) bool // after the tokens were made: true when the answer is dropped
	CheckRequest func(path string, form url.Values)

	mu       sync.Mutex
	codes    map[string]url.Values
	families map[string]*family // by refresh token
	access   map[string]*family
	Counts   Counts
}

// Counts is what has happened.
type Counts struct {
	Codes, Refreshes, Reuses, Revocations, Calls, Unauthorized int
}

type family struct {
	account  string
	current  string
	previous string
	rotated  time.Time
	answer   map[string]any // of the last rotation
	dead     bool
	tokens   []string
}

// New starts a server that ends with the test.
func New(t *testing.T) *Server {
	t.Helper()
	s := &Server{Lifetime: 3600, Method: "basic", Secret: "s3cr3t/+ &", Account: "amy", codes: map[string]url.Values{}, families: map[string]*family{}, access: map[string]*family{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /authorize", s.authorize)
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("POST /revoke", s.revoke)
	mux.HandleFunc("/api", s.call)
	mux.HandleFunc("/api/", s.call)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	s.URL = srv.URL
	return s
}

// Do changes the server, or reads it, between requests.
func (s *Server) Do(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// Seen returns what has happened.
func (s *Server) Seen() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Counts
}

// authorize is a person who consents at once.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || len(q.Get("state")) < 32 {
		http.Error(w, "the request is not one of RFC 6749 with PKCE", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	code := rand.Text()
	s.codes[code] = q
	issuer := s.Issuer
	s.mu.Unlock()
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil {
		http.Error(w, "redirect_uri", http.StatusBadRequest)
		return
	}
	answer := url.Values{"code": {code}, "state": {q.Get("state")}}
	if q.Get("prompt") == "deny" {
		answer = url.Values{"error": {"access_denied"}, "error_description": {"<script>alert(1)</script>"}, "state": {q.Get("state")}}
	}
	if issuer != "" {
		answer.Set("iss", issuer)
	}
	back.RawQuery = answer.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code})
}

// authenticated checks the client.
func (s *Server) authenticated(r *http.Request) bool {
	name, password, basic := r.BasicAuth()
	form := r.PostForm
	switch s.Method {
	case "none":
		return !basic && form.Get("client_id") != "" && !form.Has("client_secret")
	case "body":
		return !basic && form.Get("client_id") != "" && form.Get("client_secret") == s.Secret
	}
	password, err := url.QueryUnescape(password)
	return basic && err == nil && name != "" && password == s.Secret && !form.Has("client_secret")
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	if r.ParseForm() != nil {
		refuse(w, http.StatusBadRequest, "invalid_request")
		return
	}
	form := r.PostForm
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.CheckRequest != nil {
		s.CheckRequest("/token", form)
	}
	if form.Get("grant_type") == "refresh_token" {
		s.Counts.Refreshes++
	}
	if s.Fault != nil && s.Fault(w, form) {
		return
	}
	if !s.authenticated(r) {
		refuse(w, http.StatusUnauthorized, "invalid_client")
		return
	}
	switch form.Get("grant_type") {
	case "authorization_code":
		s.exchange(w, form)
	case "refresh_token":
		s.refresh(w, form)
	default:
		refuse(w, http.StatusBadRequest, "unsupported_grant_type")
	}
}

func (s *Server) exchange(w http.ResponseWriter, form url.Values) {
	s.Counts.Codes++
	asked, ok := s.codes[form.Get("code")]
	delete(s.codes, form.Get("code"))
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	if !ok || base64.RawURLEncoding.EncodeToString(sum[:]) != asked.Get("code_challenge") || form.Get("redirect_uri") != asked.Get("redirect_uri") || form.Get("resource") != asked.Get("resource") {
		refuse(w, http.StatusBadRequest, "invalid_grant")
		return
	}
	f := &family{account: s.Account}
	s.write(w, f, s.issue(f))
}

func (s *Server) refresh(w http.ResponseWriter, form url.Values) {
	presented := form.Get("refresh_token")
	f := s.families[presented]
	switch {
	case f == nil || f.dead:
		refuse(w, http.StatusBadRequest, "invalid_grant")
	case presented != f.current && presented == f.previous && time.Since(f.rotated) < s.Grace:
		s.write(w, f, f.answer)
	case presented != f.current: // reuse: the family ends
		s.Counts.Reuses++
		f.dead = true
		refuse(w, http.StatusBadRequest, "invalid_grant")
	default:
		s.write(w, f, s.issue(f))
	}
}

// issue makes tokens.
func (s *Server) issue(f *family) map[string]any {
	answer := map[string]any{"access_token": "at-" + rand.Text(), "token_type": "Bearer"}
	token, _ := answer["access_token"].(string)
	s.access[token], f.tokens = f, append(f.tokens, token)
	if s.Lifetime > 0 {
		answer["expires_in"] = s.Lifetime
	}
	if s.GrantScope != nil {
		answer["scope"] = *s.GrantScope
	}
	if s.Account != "" && f.current == "" {
		claims, _ := json.Marshal(map[string]string{"iss": s.URL, "sub": s.Account})
		answer["id_token"] = "e30." + base64.RawURLEncoding.EncodeToString(claims) + ".sig"
	}
	switch {
	case s.NoRefresh:
	case f.current == "" || !s.Static && !s.KeepRefresh:
		f.previous, f.current, f.rotated = f.current, "rt-"+rand.Text(), time.Now()
		s.families[f.current] = f
		answer["refresh_token"] = f.current
	case s.Static:
		answer["refresh_token"] = f.current
	}
	f.answer = answer
	return answer
}

func (s *Server) write(w http.ResponseWriter, _ *family, answer map[string]any) {
	if s.AfterIssue != nil && s.AfterIssue(w) {
		return
	}
	if s.Answer != nil && s.Answer(w, answer) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.ParseForm() != nil || !s.authenticated(r) {
		refuse(w, http.StatusUnauthorized, "invalid_client")
		return
	}
	s.Counts.Revocations++
	if f := s.families[r.PostForm.Get("token")]; f != nil {
		f.dead = true
	}
	w.WriteHeader(http.StatusOK)
}

// EndAll ends all tokens: access tokens only, or refresh tokens too.
func (s *Server) EndAll(refresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.access)
	for _, f := range s.families {
		f.dead = f.dead || refresh
	}
}

// call is the API: it answers with the account whose token a request has.
func (s *Server) call(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.Counts.Calls++
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	f := s.access[token]
	if scheme != "Bearer" || f == nil || !slices.Contains(f.tokens, token) {
		s.Counts.Unauthorized++
		s.mu.Unlock()
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		refuse(w, http.StatusUnauthorized, "invalid_token")
		return
	}
	account := f.account
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"account": account})
}
