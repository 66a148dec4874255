// Package oidcauth authenticates programs and persons who sign in with an OpenID provider.
// It verifies their JWT access tokens, has persons sign in with a browser, and finds in a file
// what their claims permit.
//
// Its promise: a token permits what the first grant permits that its claims match, and
// nothing if it was not signed by the issuer, for this service, for now. Tokens that callers
// send cause at most one request to the issuer in five seconds; browsers that come back from it
// cause at most 32 in a second.
package oidcauth

import (
	"bytes"
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
)

// Config is whose tokens are accepted.
type Config struct {
	File      string                                      // the mapping, as YAML. It is read again when it changes
	Issuer    string                                      // its URL. Default: that of the file
	Audience  []string                                    // names of this service in tokens. Default: those of the file
	PublicURL func() string                               // where this service is reached, "" if that is not known: tokens for it, or for a path of it, are accepted too
	Send      func(*http.Request) (*http.Response, error) // to the issuer; a redirect is not followed
	Key       []byte                                      // 32 bytes that seal the sessions of who signs in with a browser; the same in all processes. nil: nobody can
	Now       func() time.Time
	Log       *slog.Logger
}

// Tokens authenticates JWT access tokens. It is safe for concurrent use.
type Tokens struct {
	config  Config
	seal    cipher.AEAD // of sessions; nil: there are none
	current atomic.Pointer[state]
	changes atomic.Uint64
	signIns chan struct{} // those that ask the issuer, and those of the last second

	mu      sync.Mutex // for reloads
	text    []byte     // of the file, as it was last read
	problem string     // of the file; "": none
}

type state struct {
	*Mapping
	issuer *issuer
	loaded time.Time
}

// Open reads the mapping. It returns an error when that can't be used; the issuer is not
// asked for anything yet.
func Open(c Config) (*Tokens, error) {
	t := &Tokens{config: c, signIns: make(chan struct{}, maxSignIns)}
	var err error
	if t.seal, err = newSeal(c.Key); err != nil {
		return nil, fmt.Errorf("the key of sessions: %w", err)
	}
	text, err := os.ReadFile(c.File)
	if err == nil {
		t.text = text
		err = t.load(text)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", c.File, err)
	}
	return t, nil
}

// load puts a mapping into force.
func (t *Tokens) load(text []byte) error {
	m, err := ReadMapping(text)
	if err != nil {
		return err
	}
	switch c := t.config; {
	case c.Issuer == "" && m.Issuer == "":
		return errors.New("/issuer: is required, here or as --oidc-issuer")
	case c.Issuer != "" && m.Issuer != "" && c.Issuer != m.Issuer:
		return errors.New("/issuer: differs from --oidc-issuer")
	case len(c.Audience) > 0 && len(m.Audience) > 0 && !slices.Equal(c.Audience, m.Audience):
		return errors.New("/audience: differs from --oidc-audience")
	}
	if m.Issuer == "" {
		m.Issuer = t.config.Issuer
	}
	if len(m.Audience) == 0 {
		m.Audience = t.config.Audience
	}
	if len(m.Audience) == 0 {
		return errors.New("/audience: is required, here or as --oidc-audience")
	}
	next := &state{Mapping: m, loaded: t.config.Now()}
	if old := t.current.Load(); old != nil && old.Issuer == m.Issuer {
		next.issuer = old.issuer
	} else {
		next.issuer = newIssuer(m.Issuer, t.config.Send, t.config.Now)
	}
	t.current.Store(next)
	t.changes.Add(1)
	return nil
}

// Reload reads the file again. If it is broken, what was in force stays so, and the log and
// the status have the error.
func (t *Tokens) Reload(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text, err := os.ReadFile(t.config.File)
	switch {
	case err == nil && t.problem == "" && bytes.Equal(text, t.text):
		return
	case err == nil:
		t.text = text
		err = t.load(text)
	}
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	if problem != "" && problem != t.problem {
		t.config.Log.ErrorContext(ctx, "the grants of tokens can't be read; the previous ones stay in force", slog.String("file", t.config.File), slog.Any("err", err))
	}
	if problem == "" {
		t.config.Log.InfoContext(ctx, "the grants of tokens were read again", slog.String("file", t.config.File), slog.Int("grants", len(t.current.Load().Grants)))
	}
	t.problem = problem
}

// reloadEvery is how often the file is compared with what is in force.
const reloadEvery = 2 * time.Second

// Run keeps the keys of the issuer and the mapping current until ctx ends.
func (t *Tokens) Run(ctx context.Context) error {
	tick := time.NewTicker(reloadEvery)
	defer tick.Stop()
	var last string // what the log has of the issuer
	for {
		now := t.current.Load().issuer
		pause := refreshKeys
		if now.status().Problem != "" || now.status().KeysAt.IsZero() {
			pause = minPause
		}
		err := now.refresh(ctx, pause)
		switch found := fmt.Sprint(now.url, err); {
		case ctx.Err() != nil:
			return nil
		case found == last:
		case err != nil:
			t.config.Log.WarnContext(ctx, "the OpenID provider can't be reached; retrying. Its tokens are refused when no keys are known, API keys are not affected", slog.String("issuer", now.url), slog.Any("err", err))
			last = found
		default:
			t.config.Log.InfoContext(ctx, "the keys of the OpenID provider are known", slog.String("issuer", now.url), slog.Int("keys", now.status().Keys))
			last = found
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			t.Reload(ctx)
		}
	}
}

// Authenticate returns what an access token permits at a path of this service, as a key that
// is not stored. Its errors are of type *domain.Error: Unauthenticated, Unavailable when the
// issuer can't be reached, and Forbidden when no grant matches; then the key names who it is.
func (t *Tokens) Authenticate(ctx context.Context, raw, path string) (access.Key, error) {
	now := t.current.Load()
	v, err := verify(ctx, now.issuer, raw, t.config.Now, accessToken, "jwt", "")
	if err != nil {
		return access.Key{}, err
	}
	if v.isOther() {
		return access.Key{}, domain.Errorf(domain.Unauthenticated, "token_invalid", "this is not an access token")
	}
	if !audienceAt(v.Audience, now.Audience, t.config.PublicURL(), path) {
		return access.Key{}, domain.Errorf(domain.Unauthenticated, "token_invalid", "the token is for another audience (aud)")
	}
	return now.grant(v)
}

// idToken verifies the ID token of a sign-in to the client with an id, with a nonce.
func (t *Tokens) idToken(ctx context.Context, raw, client, nonce string) (verified, error) {
	v, err := verify(ctx, t.current.Load().issuer, raw, t.config.Now, "jwt", "")
	if err != nil {
		return verified{}, err
	}
	party, _ := v.claims["azp"].(string)
	if client == "" || !slices.Contains(v.Audience, client) || party != "" && party != client || nonce == "" || v.Nonce != nonce {
		return verified{}, domain.Errorf(domain.Unauthenticated, "token_invalid", "the ID token is not for this client (aud, azp), or not for this sign-in (nonce)")
	}
	return v, nil
}

// grant returns what the first grant permits that matches the claims.
func (s *state) grant(v verified) (access.Key, error) {
	in := &access.SignedIn{Issuer: s.Issuer, Subject: v.Subject, Scopes: append(v.claims.values("scope"), v.claims.values("scp")...)}
	key := access.Key{CreatedAt: v.IssuedAt, ExpiresAt: v.Expiry, SignedIn: in}
	actors := v.claims.values(s.Actor)
	if len(actors) != 1 || !printable(actors[0]) {
		return key, domain.Errorf(domain.Forbidden, "no_grant", "the token must name who acts in the claim %q, in 1 to 255 printable characters; it has the claims %s", s.Actor, v.claims.names())
	}
	key.ID, key.Name = access.SignedInPrefix+actors[0], actors[0]
	if key.CreatedAt.IsZero() { // it has no iat
		key.CreatedAt = s.issuer.now()
	}
	for _, g := range s.Grants {
		got, ok, scope := g.match(v.claims)
		if scope != "" {
			in.Elevations = append(in.Elevations, access.Elevation{Scope: scope, Permissions: g.Permissions})
		}
		if ok {
			in.Workspaces, in.Everywhere, in.KeysFor = got.workspaces, g.Everywhere, time.Duration(g.KeyDays)*24*time.Hour
			key.Permissions, key.Scope = g.Permissions, g.scope(got.subjects)
			return key, nil
		}
	}
	return key, domain.Errorf(domain.Forbidden, "no_grant", "the token is valid, but no grant of this service matches it; it has the claims %s", v.claims.names())
}

// printable reports whether a name can stand in events and logs.
func printable(name string) bool {
	return name != "" && len(name) <= 255 && strings.ToValidUTF8(name, "") == name && strings.TrimSpace(name) == name &&
		!strings.ContainsFunc(name, domain.IsInvisible)
}
