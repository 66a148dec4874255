package authservertest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"
)

type family struct {
	account  string
	current  string
	previous string
	rotated  time.Time
	answer   map[string]any // of the last rotation
	dead     bool
	tokens   []string

	presented string // the refresh token that was presented last
	answering bool   // its answer is on its way
	answered  bool   // it was sent as a whole, and at once
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	if r.ParseForm() != nil {
		refuse(w, http.StatusBadRequest, "invalid_request")
		return
	}
	form := r.PostForm
	answer := httptest.NewRecorder()
	f := s.noted(form)
	defer func() { s.sent(f, answer.Code == http.StatusOK, recover()) }()
	hold := s.answer(answer, r)
	if time.Sleep(min(hold, patience)); hold > patience { // who asked gives up, and may ask again
		s.sent(f, false, nil)
		f = nil
		time.Sleep(hold - patience)
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// patience is how long a client waits for an answer, or a little less.
const patience = 29 * time.Second

// noted notes that a refresh token is presented, and returns its family.
func (s *Server) noted(form url.Values) *family {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := form.Get("refresh_token")
	f := s.families[token]
	if f == nil {
		return nil
	}
	if f.presented == token {
		if f.answering {
			s.Counts.Overlaps++
		}
		if f.answered {
			s.Counts.Repeats++
		}
	}
	f.presented, f.answering, f.answered = token, true, false
	return f
}

// sent notes that an answer was sent, unless it was dropped.
func (s *Server) sent(f *family, whole bool, dropped any) {
	if f != nil {
		s.mu.Lock()
		f.answering, f.answered = false, whole && dropped == nil
		s.mu.Unlock()
	}
	if dropped != nil {
		panic(dropped)
	}
}

// answer answers a request for a token, and returns how long to hold that back.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) (hold time.Duration) {
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
		return 0
	}
	if !s.authenticated(r) {
		refuse(w, http.StatusUnauthorized, "invalid_client")
		return 0
	}
	switch form.Get("grant_type") {
	case "authorization_code":
		s.exchange(w, form)
	case "refresh_token":
		s.refresh(w, form)
	default:
		refuse(w, http.StatusBadRequest, "unsupported_grant_type")
	}
	if s.Hold != nil && form.Get("grant_type") == "refresh_token" {
		return s.Hold()
	}
	return 0
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
	if s.FailRevocations {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	s.Counts.Revocations++
	if f := s.families[r.PostForm.Get("token")]; f != nil {
		f.dead = true
	}
	w.WriteHeader(http.StatusOK)
}

// Grant returns a refresh token that a person has given to somebody else.
func (s *Server) Grant() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &family{account: s.Account}
	s.issue(f)
	return f.current
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
