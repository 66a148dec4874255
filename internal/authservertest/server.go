// Package authservertest is an authorization server for tests: it rotates refresh tokens,
// and ends the whole family of one that is presented twice.
//
// Its promise: it checks what a careful authorization server checks, and counts what a
// careful client must not do.
package authservertest

import (
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
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

	Lifetime        int                                            // seconds of an access token. 0: none is named
	Grace           time.Duration                                  // in which a spent refresh token is answered again
	Static          bool                                           // refresh tokens stay as they are
	NoRefresh       bool                                           // no refresh tokens
	KeepRefresh     bool                                           // refreshes answer without a refresh token, and the old one stays
	Account         string                                         // the sub of the ID token. "": there is none
	GrantScope      *string                                        // the scope of answers; nil: none is named
	Issuer          string                                         // iss of the callback. "": none
	Method          string                                         // basic, body or none: how clients must authenticate
	Secret          string                                         // of the client
	Answer          func(http.ResponseWriter, map[string]any) bool // writes an answer with tokens in its own way
	Fault           func(w http.ResponseWriter, grant url.Values) bool
	AfterIssue      func(w http.ResponseWriter) bool // after the tokens were made: true when the answer is dropped
	CheckRequest    func(path string, form url.Values)
	FailRevocations bool                                                  // revocations are answered with 503
	Hold            func() time.Duration                                  // how long an answer with tokens is held back; nil: not at all
	Back            func(asked, answer url.Values)                        // changes what a person comes back with
	API             func(w http.ResponseWriter, r *http.Request) bool     // answers a call with a good token in its own way
	Metadata        func(path string, document map[string]any) (has bool) // what well-known documents there are
	Registers       bool                                                  // clients register themselves, and only those are known
	CAFile          string                                                // of a server with TLS: the PEM of its root
	Token           string                                                // the header that has the token, with its prefix. "": Authorization: Bearer

	mu       sync.Mutex
	codes    map[string]url.Values
	families map[string]*family // by refresh token
	access   map[string]*family
	clients  map[string]string // secrets of those that have registered themselves
	Counts   Counts
}

// Counts is what has happened.
type Counts struct {
	Codes, Refreshes, Reuses, Revocations, Calls, Unauthorized, Registrations int

	Overlaps int // refresh tokens that were presented while an answer to the same one was on its way
	Repeats  int // refresh tokens that were presented again after a whole answer
}

// New starts a server that ends with the test.
func New(t *testing.T) *Server {
	t.Helper()
	s, mux := unstarted()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	s.URL = srv.URL
	return s
}

// NewTLS starts a server with TLS that ends with the test. Its root is in CAFile.
func NewTLS(t *testing.T) *Server {
	t.Helper()
	s, mux := unstarted()
	srv := httptest.NewTLSServer(mux)
	t.Cleanup(srv.Close)
	s.URL, s.CAFile = srv.URL, filepath.Join(t.TempDir(), "root.pem")
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(s.CAFile, root, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func unstarted() (*Server, *http.ServeMux) {
	s := &Server{
		Lifetime: 3600, Method: "basic", Secret: "s3cr3t/+ &", Account: "amy",
		codes: map[string]url.Values{}, families: map[string]*family{}, access: map[string]*family{}, clients: map[string]string{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /authorize", s.authorize)
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("POST /revoke", s.revoke)
	mux.HandleFunc("POST /register", s.register)
	mux.HandleFunc("/", s.wellKnown)
	mux.HandleFunc("/api", s.call)
	mux.HandleFunc("/api/", s.call)
	return s, mux
}

// Host is the host of the server, with its port.
func (s *Server) Host() string {
	_, host, _ := strings.Cut(s.URL, "://")
	return host
}

// Forget forgets every client that has registered itself, as servers do that purge them.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.clients)
}

// wellKnown answers with metadata of RFC 8414 where there is some.
func (s *Server) wellKnown(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	document := map[string]any{
		"issuer": s.URL, "authorization_endpoint": s.URL + "/authorize", "token_endpoint": s.URL + "/token", "revocation_endpoint": s.URL + "/revoke",
		"code_challenge_methods_supported": []string{"S256"}, "grant_types_supported": []string{"authorization_code", "refresh_token"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic"},
	}
	if s.Registers {
		document["registration_endpoint"] = s.URL + "/register"
	}
	if s.Metadata == nil || !s.Metadata(r.URL.Path, document) {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(document)
}

// register registers a client (RFC 7591) whose secret lasts for 90 days.
func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	var asked map[string]any
	if json.NewDecoder(r.Body).Decode(&asked) != nil || asked["redirect_uris"] == nil {
		refuse(w, http.StatusBadRequest, "invalid_client_metadata")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := "client-" + rand.Text()
	s.clients[id], s.Counts.Registrations = "secret-"+rand.Text(), s.Counts.Registrations+1
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"client_id": id, "client_secret": s.clients[id], "client_secret_expires_at": time.Now().Add(90 * 24 * time.Hour).Unix(),
		"token_endpoint_auth_method": "client_secret_basic", "redirect_uris": asked["redirect_uris"],
	})
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
	issuer, change := s.Issuer, s.Back
	_, known := s.clients[q.Get("client_id")]
	known = known || !s.Registers
	s.mu.Unlock()
	if !known { // which is shown to the person alone (RFC 6749, 4.1.2.1)
		http.Error(w, "there is no such client", http.StatusBadRequest)
		return
	}
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
	if change != nil {
		change(q, answer)
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
	if s.Registers {
		name, err := url.QueryUnescape(name)
		return basic && err == nil && password != "" && password == s.clients[name]
	}
	switch s.Method {
	case "none":
		return !basic && form.Get("client_id") != "" && !form.Has("client_secret")
	case "body":
		return !basic && form.Get("client_id") != "" && form.Get("client_secret") == s.Secret
	}
	password, err := url.QueryUnescape(password)
	return basic && err == nil && name != "" && password == s.Secret && !form.Has("client_secret")
}

// call is the API: it answers with the account whose token a request has.
func (s *Server) call(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.URL.Path, "/.well-known/") {
		s.wellKnown(w, r)
		return
	}
	s.mu.Lock()
	s.Counts.Calls++
	header, scheme, _ := strings.Cut(s.Token, ": ")
	if s.Token == "" {
		header, scheme = "Authorization", "Bearer "
	}
	token, hasScheme := strings.CutPrefix(r.Header.Get(header), scheme)
	f := s.access[token]
	if !hasScheme || f == nil || !slices.Contains(f.tokens, token) {
		s.Counts.Unauthorized++
		s.mu.Unlock()
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		refuse(w, http.StatusUnauthorized, "invalid_token")
		return
	}
	account, own := f.account, s.API
	s.mu.Unlock()
	if own != nil && own(w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"account": account})
}
