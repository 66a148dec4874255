package oidcauth

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
)

// sessionPrefix begins the credential of someone who has signed in with a browser. It never
// leaves the service but sealed.
const sessionPrefix = "its_"

// SessionFor is how long a sign-in holds without the issuer confirming it again.
const SessionFor = time.Hour

// maxSession bounds a credential: it travels in a cookie.
const maxSession = 2000

// person is what a credential holds, sealed: the claims that grants ask for.
type person struct {
	Issuer string    `json:"i"`
	Claims Claims    `json:"c"`
	At     time.Time `json:"t"` // of the sign-in
}

// IsSession reports whether the text of a bearer token has the form of a credential of this
// package. An API key and a JWT have not.
func IsSession(text string) bool { return strings.HasPrefix(text, sessionPrefix) }

// newSeal returns what seals credentials, nil without a key.
func newSeal(key []byte) (cipher.AEAD, error) {
	if key == nil {
		return nil, nil
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// beginSession returns a credential for the person of a verified ID token. Its errors are those
// of Authenticate.
func (t *Tokens) beginSession(v verified) (string, error) {
	now := t.current.Load()
	if t.seal == nil || now.Issuer != v.Issuer {
		return "", domain.Errorf(domain.Unauthenticated, "sign_in_unknown", "the OpenID provider was changed; sign in again")
	}
	if _, err := now.grant(v); err != nil {
		return "", err
	}
	data, err := json.Marshal(person{Issuer: now.Issuer, Claims: now.kept(v), At: t.config.Now()})
	if err != nil {
		return "", err
	}
	credential := sessionPrefix + base64.RawURLEncoding.EncodeToString(t.seal.Seal(nil, nil, data, []byte(sessionPrefix))) //nolint:gosec // the nonce is random, and in the text
	if len(credential) > maxSession {
		return "", domain.Errorf(domain.Forbidden, "claims_too_large", "the ID token has more values that grants ask for than fit a session; have the grants ask for fewer")
	}
	return credential, nil
}

// AuthenticateSession returns what the person may do at present who has a credential: what the
// grants in force permit to the claims of the sign-in. Its errors are those of Authenticate.
func (t *Tokens) AuthenticateSession(credential string) (access.Key, error) {
	now := t.current.Load()
	refused := domain.Errorf(domain.Unauthenticated, "session_invalid", "the session is not valid any more; sign in again")
	sealed, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(credential, sessionPrefix))
	if err != nil || t.seal == nil || len(credential) > maxSession {
		return access.Key{}, refused
	}
	data, err := t.seal.Open(nil, nil, sealed, []byte(sessionPrefix))
	var p person
	if err != nil || json.Unmarshal(data, &p) != nil || p.Issuer != now.Issuer || !t.config.Now().Before(p.At.Add(SessionFor)) {
		return access.Key{}, refused
	}
	v := verified{claims: p.Claims}
	v.IDToken = &oidc.IDToken{Subject: fmt.Sprint(p.Claims["sub"]), IssuedAt: p.At, Expiry: p.At.Add(SessionFor)}
	return now.grant(v)
}

// kept returns the claims of a token that name who acts, and the values that a condition of a
// grant matches: a session need not hold what decides nothing.
func (s *state) kept(v verified) Claims {
	all := Claims{"sub": v.Subject}
	if actors := v.claims.values(s.Actor); len(actors) == 1 {
		all[s.Actor] = actors[0]
	}
	for _, g := range s.Grants {
		for _, c := range g.when {
			for _, value := range v.claims.values(c.claim) {
				if c.means(value) {
					all.add(c.claim, value)
				}
			}
		}
	}
	return all
}

// add adds a value to a claim by the name that a condition has for it.
func (c Claims) add(name, value string) {
	switch present := c[name].(type) {
	case nil:
		c[name] = []any{value}
	case string: // sub, or who acts
		if present != value {
			c[name] = []any{present, value}
		}
	case []any:
		for _, one := range present {
			if one == value {
				return
			}
		}
		c[name] = append(present, value)
	}
}
