package signin

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// claims are the claims of an assertion (RFC 7519, 4.1).
type claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub,omitempty"`
	Audience string `json:"aud"`
	Expires  int64  `json:"exp"`
	Issued   int64  `json:"iat,omitempty"`
	ID       string `json:"jti"`
	Scope    string `json:"scope,omitempty"`
}

const (
	// smartLifetime is how long a client assertion is good for. SMART allows five
	// minutes, by the server's clock.
	smartLifetime = 4 * time.Minute
	// issuedBefore is how far in the past an assertion is issued: servers refuse one
	// that is from the future by their clock, and some one without iat.
	issuedBefore = 30 * time.Second
)

// smartAssertion returns the client assertion of a SMART backend service. It has no
// nbf.
func smartAssertion(a domain.Auth, key domain.Secret, endpoint string, now time.Time) (string, *callerror.Error) {
	return sign(a, key, claims{
		Issuer: a.ClientID, Subject: a.ClientID, Audience: cmp.Or(a.AssertionAudience, endpoint),
		Expires: now.Add(smartLifetime).Unix(), Issued: now.Add(-issuedBefore).Unix(),
	})
}

// bearerAssertion returns the assertion of a JWT bearer grant.
func bearerAssertion(a domain.Auth, key domain.Secret, now time.Time) (string, *callerror.Error) {
	lifetime := time.Duration(a.TokenLifetimeSeconds) * time.Second
	issued := now.Add(-min(lifetime/10, issuedBefore))
	c := claims{
		Issuer: a.AssertionIssuer, Subject: a.AssertionSubject, Audience: cmp.Or(a.AssertionAudience, a.TokenURL),
		Expires: issued.Add(lifetime).Unix(), Issued: issued.Unix(),
	}
	if a.AssertionScopesInJWT {
		c.Scope = strings.Join(a.Scopes, " ")
	}
	return sign(a, key, c)
}

// sign signs c, with an id of its own.
func sign(a domain.Auth, secret domain.Secret, c claims) (string, *callerror.Error) {
	key, e := signingKey(a, secret)
	if e != nil {
		return "", e
	}
	c.ID = rand.Text()
	text, err := json.Marshal(c)
	if err != nil {
		return "", unsigned(a)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(a.AssertionAlgorithm), Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
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

func unsigned(a domain.Auth) *callerror.Error {
	return callerror.Misconfigured("The private key could not sign with %s.", a.AssertionAlgorithm)
}
