package oidcauth_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access/oidcauth"
)

// members are the claims of a token.
type members = map[string]any

// provider is an issuer that can sign whatever a test needs. The issuers of others are in
// the tests of transport.
type provider struct {
	t      *testing.T
	url    string
	mu     sync.Mutex
	status int // of every answer; 0: 200
	keys   []jose.JSONWebKey
	asked  int // how often the keys were asked for

	answers members    // of the token endpoint
	person  members    // the claims of the userinfo endpoint; nil: it has none
	form    url.Values // that the token endpoint was sent last
	client  [2]string  // and by whom, with HTTP Basic
}

func startProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{t: t}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if p.status != 0 {
			w.WriteHeader(p.status)
			return
		}
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			known := members{"issuer": p.url, "jwks_uri": p.url + "/keys", "authorization_endpoint": p.url + "/authorize", "token_endpoint": p.url + "/token"}
			if p.person != nil {
				known["userinfo_endpoint"] = p.url + "/person"
			}
			_ = json.NewEncoder(w).Encode(known)
		case "/keys":
			p.asked++
			_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: p.keys})
		case "/token":
			_ = r.ParseForm()
			p.form = r.PostForm
			p.client[0], p.client[1], _ = r.BasicAuth()
			if p.answers["error"] != nil {
				w.WriteHeader(http.StatusBadRequest)
			}
			_ = json.NewEncoder(w).Encode(p.answers)
		case "/person":
			if r.Header.Get("Authorization") != "Bearer at" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			_ = json.NewEncoder(w).Encode(p.person)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(srv.Close)
	p.url = srv.URL
	return p
}

// answer makes every answer have a status; 0: they are right.
func (p *provider) answer(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = status
}

func (p *provider) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// signer signs tokens.
type signer struct {
	key       any
	id        string
	algorithm jose.SignatureAlgorithm
	typ       string
}

// publish returns a signer whose key the provider publishes.
func (p *provider) publish(id string) signer {
	p.t.Helper()
	s := newSigner(p.t, id)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = append(p.keys, jose.JSONWebKey{Key: s.key.(crypto.Signer).Public(), KeyID: id, Algorithm: "ES256", Use: "sig"})
	return s
}

func newSigner(t *testing.T, id string) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return signer{key: key, id: id, algorithm: jose.ES256, typ: "at+jwt"}
}

func (s signer) sign(t *testing.T, claims members) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithType(jose.ContentType(s.typ))
	signing, err := jose.NewSigner(jose.SigningKey{Algorithm: s.algorithm, Key: jose.JSONWebKey{Key: s.key, KeyID: s.id}}, options)
	require.NoError(t, err)
	payload, err := json.Marshal(claims)
	require.NoError(t, err)
	token, err := signing.Sign(payload)
	require.NoError(t, err)
	text, err := token.CompactSerialize()
	require.NoError(t, err)
	return text
}

// clock is the time of a test.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// claims returns right claims, changed; a nil value removes one.
func (p *provider) claims(now time.Time, changes members) members {
	all := members{"iss": p.url, "aud": "integrations", "sub": "amy", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	for name, value := range changes {
		all[name] = value
		if value == nil {
			delete(all, name)
		}
	}
	return all
}

// opened is what a test asks, and its file, log and clock.
type opened struct {
	*oidcauth.Tokens
	clock *clock
	file  string
	log   *bytes.Buffer
}

func (p *provider) open(t *testing.T, mapping string) opened {
	t.Helper()
	o := opened{clock: &clock{at: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}, file: filepath.Join(t.TempDir(), "grants.yaml"), log: &bytes.Buffer{}}
	require.NoError(t, os.WriteFile(o.file, []byte(mapping), 0o600))
	var err error
	o.Tokens, err = oidcauth.Open(oidcauth.Config{
		File: o.file, Issuer: p.url, Audience: []string{"integrations"}, PublicURL: func() string { return "https://integrations.example.com" },
		Send: http.DefaultTransport.RoundTrip, Key: make([]byte, 32), Now: o.clock.now, Log: slog.New(slog.NewTextHandler(o.log, nil)),
	})
	require.NoError(t, err)
	return o
}
