package oidcauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/seed677028b5/integrations/domain"
)

// Endpoints are where persons sign in with the issuer.
type Endpoints struct {
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	UserInfo      string `json:"userinfo_endpoint"`
	EndSession    string `json:"end_session_endpoint"`

	AuthMethods []string `json:"token_endpoint_auth_methods_supported"` // of clients, at the token endpoint; empty: client_secret_basic
	Scopes      []string `json:"scopes_supported"`                      // empty: it does not say
}

// issuer has the keys of an OpenID provider. It asks for them when they are needed, at most
// once in minPause, whatever tokens arrive.
type issuer struct {
	url    string
	client *http.Client
	now    func() time.Time

	mu       sync.Mutex
	keys     []jose.JSONWebKey
	at       Endpoints
	got      time.Time     // when the keys were last fetched; zero: never
	tried    time.Time     // when that was last tried
	err      error         // of the last attempt
	fetching chan struct{} // closed when the try that runs has ended; nil: none runs
}

const (
	minPause    = 5 * time.Second  // between two fetches of the keys
	refreshKeys = 10 * time.Minute // age at which they are fetched again
	maxKeyAge   = 24 * time.Hour   // while the issuer is unreachable
	fetchWithin = 10 * time.Second
	maxDocument = 1 << 20 // bytes
	maxKeys     = 100
)

// algorithms of signatures that are accepted: asymmetric ones.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

var (
	errSignature  = domain.Errorf(domain.Unauthenticated, "token_invalid", "the signature of the token is not valid")
	errUnknownKey = domain.Errorf(domain.Unauthenticated, "token_invalid", "the token is signed with a key that its issuer does not publish")
)

func newIssuer(url string, send func(*http.Request) (*http.Response, error), now func() time.Time) *issuer {
	return &issuer{url: url, now: now, client: &http.Client{
		Transport:     bounded(send),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       fetchWithin,
	}}
}

// scopes returns the scopes that the issuer names.
func (i *issuer) scopes() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.at.Scopes
}

// VerifySignature implements oidc.KeySet. A key that is not known is looked for at the
// issuer. Its errors are of type *domain.Error, Unavailable if no keys are known.
func (i *issuer) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	token, err := jose.ParseSignedCompact(raw, algorithms)
	if err != nil {
		return nil, errMalformed
	}
	payload, known := i.verify(token)
	if !known {
		err = i.refresh(ctx, minPause)
		if payload, known = i.verify(token); !known && err != nil {
			return nil, domain.Wrap(err, domain.Unavailable, "issuer_unavailable", "the issuer of the token can't be reached, so the token can't be verified; try again. API keys are not affected")
		}
	}
	switch {
	case !known:
		return nil, errUnknownKey
	case payload == nil:
		return nil, errSignature
	}
	return payload, nil
}

// verify returns the payload of a token, nil if its signature is not valid, and whether a
// key for it is known.
func (i *issuer) verify(token *jose.JSONWebSignature) (payload []byte, known bool) {
	header := token.Signatures[0].Protected
	for _, key := range i.usable() {
		if header.KeyID != "" && key.KeyID != header.KeyID || key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := token.Verify(key); err == nil {
			return payload, true
		}
		known = known || header.KeyID != ""
	}
	return nil, known
}

// usable returns the keys unless they are too old.
func (i *issuer) usable() []jose.JSONWebKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.now().Sub(i.got) > maxKeyAge {
		return nil
	}
	return i.keys
}

// refresh fetches the keys, unless that was tried in the last pause, and returns the error
// of the last attempt. It fetches once for all callers, also if some of them leave.
func (i *issuer) refresh(ctx context.Context, pause time.Duration) error {
	i.mu.Lock()
	if i.fetching == nil {
		now := i.now()
		if !i.tried.IsZero() && now.Sub(i.tried) < pause {
			defer i.mu.Unlock()
			return i.err
		}
		i.tried, i.fetching = now, make(chan struct{})
		go i.fetchOnce(context.WithoutCancel(ctx), i.fetching)
	}
	done := i.fetching
	i.mu.Unlock()
	select {
	case <-done:
		i.mu.Lock()
		defer i.mu.Unlock()
		return i.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fetchOnce replaces the keys if they can be fetched in time, then closes done.
func (i *issuer) fetchOnce(ctx context.Context, done chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	at, keys, err := i.fetch(ctx)
	if err != nil {
		err = errors.New(strings.ToValidUTF8(fmt.Sprintf("%.300v", err), "")) // it may hold what the issuer answered
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err = err; err == nil {
		i.at, i.keys, i.got = at, keys, i.now()
	}
	i.fetching = nil
	close(done)
}

// fetch asks the issuer where its keys are (OpenID Connect Discovery 1.0), and for them.
func (i *issuer) fetch(ctx context.Context) (Endpoints, []jose.JSONWebKey, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, i.client), i.url)
	if err != nil {
		return Endpoints{}, nil, fmt.Errorf("read the configuration of the issuer: %w", err)
	}
	at := Endpoints{}
	var location struct {
		Keys string `json:"jwks_uri"`
	}
	if err := errors.Join(provider.Claims(&at), provider.Claims(&location)); err != nil {
		return Endpoints{}, nil, fmt.Errorf("read the configuration of the issuer: %w", err)
	}
	if !domain.SecureURL(location.Keys) {
		return Endpoints{}, nil, errors.New("read the configuration of the issuer: jwks_uri is not an https URL")
	}
	keys, err := i.fetchKeys(ctx, location.Keys)
	if err != nil {
		return Endpoints{}, nil, fmt.Errorf("read the keys of the issuer: %w", err)
	}
	return at, keys, nil
}

func (i *issuer) fetchKeys(ctx context.Context, from string) (keys []jose.JSONWebKey, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	resp, err := i.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", resp.Status)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil {
		return nil, err
	}
	for _, text := range set.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(text, &key) != nil || !key.Valid() || !key.IsPublic() || key.Use != "" && key.Use != "sig" {
			continue // of a kind that is not known here, or for something else
		}
		if keys = append(keys, key); len(keys) == maxKeys {
			break
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key for signatures among them")
	}
	return keys, nil
}

// bounded cuts answers that are too long.
type bounded func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxDocument), resp.Body}
	}
	return resp, err
}
