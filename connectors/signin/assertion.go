package signin

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"hash"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// claims are the claims of an assertion (RFC 7519, 4.1).
type claims struct {
	issuer, subject, audience string
	issued                    time.Time
	expires                   time.Time
	scope                     string
}

const (
	// clientLifetime is how long a client assertion is good for. SMART allows five
	// minutes, by the server's clock.
	clientLifetime = 4 * time.Minute
	// issuedBefore is how far in the past an assertion is issued: servers refuse one
	// that is from the future by their clock, and some one without iat.
	issuedBefore = 30 * time.Second
)

// clientAssertion returns the assertion of a client (RFC 7523, 3), such as a SMART backend
// service. It has no nbf.
func clientAssertion(s signing, endpoint string, now time.Time) (string, *callerror.Error) {
	a := s.auth
	issued, expires := window(a, clientLifetime, now)
	return sign(s, claims{issuer: a.ClientID, subject: a.ClientID, audience: cmp.Or(a.AssertionAudience, endpoint), issued: issued, expires: expires})
}

// bearerAssertion returns the assertion of a JWT bearer grant.
func bearerAssertion(s signing, now time.Time) (string, *callerror.Error) {
	a := s.auth
	lifetime := time.Duration(cmp.Or(a.AssertionLifetimeSeconds, a.TokenLifetimeSeconds)) * time.Second
	issued := now.Add(-min(lifetime/10, issuedBefore))
	c := claims{
		issuer: a.AssertionIssuer, subject: a.AssertionSubject, audience: cmp.Or(a.AssertionAudience, a.TokenURL),
		issued: issued, expires: issued.Add(lifetime),
	}
	if a.AssertionScopesInJWT {
		c.scope = strings.Join(a.Scopes, " ")
	}
	return sign(s, c)
}

// window returns when an assertion was issued, and when it ends: usual after now, or as
// long as assertion_lifetime_seconds, of which the time before now is a part.
func window(a domain.Auth, usual time.Duration, now time.Time) (issued, expires time.Time) {
	if a.AssertionLifetimeSeconds == 0 {
		return now.Add(-issuedBefore), now.Add(usual)
	}
	lifetime := time.Duration(a.AssertionLifetimeSeconds) * time.Second
	issued = now.Add(-min(lifetime/10, issuedBefore))
	return issued, issued.Add(lifetime)
}

// sign signs c, with an id of its own and the further claims of the auth.
func sign(s signing, c claims) (string, *callerror.Error) {
	a := s.auth
	all := map[string]any{}
	if len(a.AssertionClaims) > 0 && json.Unmarshal(a.AssertionClaims, &all) != nil {
		return "", unsigned(a)
	}
	for name, value := range map[string]string{"iss": c.issuer, "sub": c.subject, "aud": c.audience, "scope": c.scope} {
		if value != "" {
			all[name] = value
		}
	}
	all["jti"], all["iat"], all["exp"] = rand.Text(), c.issued.Unix(), c.expires.Unix()
	text, err := json.Marshal(all)
	if err != nil {
		return "", unsigned(a)
	}
	if of, shared := hmacHashes[a.AssertionAlgorithm]; shared {
		return signShared(s, of, text)
	}
	options := (&jose.SignerOptions{}).WithType("JWT")
	if a.AssertionCertificate != "" {
		chain, ok := domain.ReadCertificates(a.AssertionCertificate)
		if !ok {
			return "", callerror.Misconfigured("The assertion_certificate can't be read.")
		}
		sum := sha256.Sum256(chain[0].Raw)
		options = options.WithHeader("x5t#S256", base64.RawURLEncoding.EncodeToString(sum[:])) // RFC 7515, 4.1.8
	}
	key, e := signingKey(a, s.secret)
	if e != nil {
		return "", e
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(a.AssertionAlgorithm), Key: key}, options)
	if err != nil {
		return "", unsigned(a)
	}
	signed, err := signer.Sign(text)
	if err != nil {
		return "", unsigned(a)
	}
	assertion, err := signed.CompactSerialize()
	if err != nil {
		return "", unsigned(a)
	}
	return assertion, nil
}

// hmacHashes are the hashes of the algorithms that a shared secret signs with.
var hmacHashes = map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}

// signShared signs claims with the shared secret (RFC 7515, 3.1). Vendors give shorter
// secrets than RFC 7518, 3.2 asks for, which go-jose refuses.
func signShared(s signing, of func() hash.Hash, claims []byte) (string, *callerror.Error) {
	secret, err := domain.DecodeSecret(s.auth.SecretEncoding, s.secret.Reveal())
	if err != nil {
		return "", callerror.Misconfigured("The shared secret is not written as secret_encoding has it.")
	}
	header := map[string]string{"alg": s.auth.AssertionAlgorithm, "typ": "JWT"}
	if s.auth.AssertionKID != "" {
		header["kid"] = s.auth.AssertionKID
	}
	first, err := json.Marshal(header)
	if err != nil {
		return "", unsigned(s.auth)
	}
	text := base64.RawURLEncoding.EncodeToString(first) + "." + base64.RawURLEncoding.EncodeToString(claims)
	m := hmac.New(of, secret)
	_, _ = m.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil)), nil
}

func unsigned(a domain.Auth) *callerror.Error {
	return callerror.Misconfigured("The private key could not sign with %s.", a.AssertionAlgorithm)
}
