package signin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

const (
	dpopHeader = "DPoP"
	dpopNonce  = "DPoP-Nonce"
)

// provers proves the possession of the keys that tokens are bound to (RFC 9449). A key
// lives as long as this process, and so do the tokens.
type provers struct {
	now    func() time.Time
	keys   *lru[*ecdsa.PrivateKey] // by cacheKey
	nonces *lru[string]            // the last one of a server, by cacheKey and origin
}

func newProvers(now func() time.Time) *provers {
	return &provers{now: now, keys: newLRU[*ecdsa.PrivateKey](maxTokens), nonces: newLRU[string](maxTokens)}
}

// prove has each request that is sent carry a proof, for token if that is not "", with a key of
// this process. It returns whether the server of the last answer asked for a nonce that was not
// known before: then nothing was processed.
func (p *provers) prove(s signing, r *egress.Request, token string) (asked func() bool, e *callerror.Error) {
	key := cacheKey(s)
	signer, ok := p.keys.get(key)
	if !ok {
		made, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, callerror.Misconfigured("No key for DPoP could be generated.")
		}
		signer = made
		p.keys.put(key, signer)
	}
	return p.proveWith(key, signer, r, token), nil
}

// proveAs is prove with a key that is kept, in PEM.
func (p *provers) proveAs(kept domain.Secret, r *egress.Request, token string) (asked func() bool, e *callerror.Error) {
	read, err := domain.ReadSigningKey("ES256", kept.Reveal())
	signer, ok := read.Signer.(*ecdsa.PrivateKey)
	if err != nil || !ok {
		return nil, callerror.Misconfigured("The key for DPoP can't be read; somebody must sign in again.")
	}
	sum := sha256.Sum256([]byte(kept.Reveal()))
	return p.proveWith(string(sum[:]), signer, r, token), nil
}

// proveWith is prove with a key, whose nonces are kept by its id. The functions that it sets may
// be called at the same time.
func (p *provers) proveWith(id string, signer *ecdsa.PrivateKey, r *egress.Request, token string) (asked func() bool) {
	at := id + domain.Origin(r.URL.String())
	var fresh atomic.Bool
	r.SetSecretHeader(dpopHeader, scrub.Mask)
	r.Signed = []string{dpopHeader}
	r.Sign = func(sent *http.Request, _ []byte) *callerror.Error {
		nonce, _ := p.nonces.get(at)
		proof, err := proofOf(signer, sent.Method, sent.URL, token, nonce, p.now())
		if err != nil {
			return callerror.Misconfigured("The key for DPoP could not sign.")
		}
		sent.Header.Set(dpopHeader, proof)
		return nil
	}
	r.Answered = func(_ int, header http.Header) {
		nonce := header.Get(dpopNonce)
		known, _ := p.nonces.get(at)
		isFresh := nonce != "" && nonce != known && len(nonce) <= 1024
		if fresh.Store(isFresh); isFresh {
			p.nonces.put(at, nonce)
		}
	}
	return fresh.Load
}

// proofOf returns a proof (RFC 9449, 4.2).
func proofOf(key *ecdsa.PrivateKey, method string, target *url.URL, token, nonce string, now time.Time) (string, error) {
	options := (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
	if err != nil {
		return "", err
	}
	bare := url.URL{Scheme: target.Scheme, Host: target.Host, Path: target.Path, RawPath: target.RawPath}
	claims := map[string]any{"jti": rand.Text(), "htm": method, "htu": bare.String(), "iat": now.Add(-proofBefore).Unix()}
	if token != "" {
		sum := sha256.Sum256([]byte(token))
		claims["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	text, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(text)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// proofBefore is how far in the past a proof is issued, for a server whose clock is
// behind.
const proofBefore = 5 * time.Second

func isDPoP(kind string) bool { return strings.EqualFold(kind, dpopHeader) }
