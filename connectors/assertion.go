package connectors

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/seed677028b5/integrations/domain"
)

// claims are what an assertion says (RFC 7519, 4.1).
type claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub,omitempty"`
	Audience string `json:"aud"`
	Expires  int64  `json:"exp"`
	Issued   int64  `json:"iat,omitempty"`
	ID       string `json:"jti"`
	Scope    string `json:"scope,omitempty"`
}

// smartLifetime is how long a client assertion is good for. SMART allows five
// minutes, by the server's clock.
const smartLifetime = 4 * time.Minute

// assertSMART returns the client assertion of a SMART backend service. It says
// neither nbf nor iat: servers refuse an assertion that is from the future by
// their clock.
func assertSMART(a domain.Auth, key domain.Secret, endpoint string, now time.Time) (string, *fault) {
	return assert(a, key, claims{
		Issuer: a.ClientID, Subject: a.ClientID, Audience: cmp.Or(a.AssertionAudience, endpoint),
		Expires: now.Add(smartLifetime).Unix(),
	})
}

// assertBearer returns the assertion of a JWT bearer grant. Some servers refuse
// one without iat; it lies a little in the past, for a server whose clock does.
func assertBearer(a domain.Auth, key domain.Secret, now time.Time) (string, *fault) {
	lasts := time.Duration(a.TokenLifetimeSeconds) * time.Second
	issued := now.Add(-min(lasts/10, 30*time.Second))
	c := claims{
		Issuer: a.AssertionIssuer, Subject: a.AssertionSubject, Audience: cmp.Or(a.AssertionAudience, a.TokenURL),
		Expires: issued.Add(lasts).Unix(), Issued: issued.Unix(),
	}
	if a.AssertionScopesInJWT {
		c.Scope = strings.Join(a.Scopes, " ")
	}
	return assert(a, key, c)
}

// assert signs c, under an id of its own.
func assert(a domain.Auth, secret domain.Secret, c claims) (string, *fault) {
	key, f := signingKey(a, secret)
	if f != nil {
		return "", f
	}
	c.ID = rand.Text()
	said, err := json.Marshal(c)
	if err != nil {
		return "", unsigned(a)
	}
	with, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(a.AssertionAlgorithm), Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", unsigned(a)
	}
	signed, err := with.Sign(said)
	if err != nil {
		return "", unsigned(a)
	}
	assertion, err := signed.CompactSerialize()
	if err != nil {
		return "", unsigned(a)
	}
	return assertion, nil
}

func unsigned(a domain.Auth) *fault {
	return misconfigured("The private key could not sign with %s.", a.AssertionAlgorithm)
}
