package console

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// ValidFor is how long after its sign-in a session ends.
const ValidFor = 12 * time.Hour

const (
	idleFor = time.Hour   // a session that makes no request for so long ends
	renewed = time.Minute // how often its cookie is written again
)

// A session is what the cookie of a browser holds, sealed.
type session struct {
	Key     string    `json:"k"` // the API key that its requests are made with, or what an OpenID provider's sign-in gave
	Owner   string    `json:"o"` // the id of the key or person
	ID      string    `json:"i"`
	Started time.Time `json:"s"`
	Seen    time.Time `json:"l"` // the last request, to a minute

	Confirmed time.Time `json:"c,omitzero"` // when the provider last confirmed it; zero: a key was pasted
}

// Sessions knows which sessions were ended before their time, in all processes and beyond
// restarts.
type Sessions interface {
	// Ended reports whether a session of an owner was ended.
	Ended(owner, id string, started time.Time) bool
	// End ends a session of an owner: here at once, and for good once it returns nil.
	End(ctx context.Context, owner, id string, started time.Time) error
}

func newSeal(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("the key of the console: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// cookieName begins with __Host- where browsers take that, so that no other host can set it.
func (c *Console) cookieName() string {
	if c.secure {
		return "__Host-console"
	}
	return "console"
}

// setCookie writes a cookie of the console. Lax: a link from elsewhere arrives signed in, and
// changes are guarded by http.CrossOriginProtection.
func (c *Console) setCookie(w http.ResponseWriter, name, value string, age time.Duration) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure where browsers come by https
		Name: name, Value: value, Path: "/", MaxAge: int(age.Seconds()), HttpOnly: true, Secure: c.secure, SameSite: http.SameSiteLaxMode,
	})
}

// signIn starts the session of a key or person. It replaces the id of the one before.
func (c *Console) signIn(w http.ResponseWriter, key, owner string, confirmed time.Time) {
	now := c.now()
	c.keep(w, session{Key: key, Owner: owner, ID: rand.Text(), Started: now, Seen: now, Confirmed: confirmed})
}

// keep writes the cookie of a session.
func (c *Console) keep(w http.ResponseWriter, s session) {
	data, err := json.Marshal(s)
	if err != nil {
		return // plain data; this can't happen
	}
	sealed := c.seal.Seal(nil, nil, data, []byte(c.cookieName())) //nolint:gosec // the nonce is random, and in the text
	c.setCookie(w, c.cookieName(), base64.RawURLEncoding.EncodeToString(sealed), ValidFor)
}

// session returns the session of a request, and whether it has one that is still valid.
func (c *Console) session(r *http.Request) (s session, ok bool) {
	cookie, err := r.Cookie(c.cookieName())
	if err != nil {
		return s, false
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil {
		return s, false
	}
	data, err := c.seal.Open(nil, nil, sealed, []byte(c.cookieName()))
	if err != nil || json.Unmarshal(data, &s) != nil {
		return session{}, false
	}
	now := c.now()
	return s, now.Before(s.Started.Add(ValidFor)) && now.Before(s.Seen.Add(idleFor)) && !c.sessions.Ended(s.Owner, s.ID, s.Started)
}

// links are addresses that sign in once.
type links struct {
	mu   sync.Mutex
	keys map[string]string // API keys by token
}

// maxLinks bounds the links that wait.
const maxLinks = 100

// Link returns the path of a page that signs in with an API key, once.
func (c *Console) Link(key string) string {
	token := rand.Text()
	c.links.mu.Lock()
	defer c.links.mu.Unlock()
	if c.links.keys == nil || len(c.links.keys) >= maxLinks {
		c.links.keys = map[string]string{}
	}
	c.links.keys[token] = key
	return Path + "/.once/" + token
}

// use returns the key of a link, and ends the link.
func (l *links) use(token string) (key string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key, ok = l.keys[token]
	delete(l.keys, token)
	return key, ok
}
