package signin

import (
	"context"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/scrub"
)

// signedLifetime is how long a JWT that is its own token is good for, unless the auth
// names another lifetime.
const signedLifetime = 4 * time.Minute

// withSignedJWT signs with a JWT that the private key, or the shared secret, of the auth
// signs, as a bearer token.
func withSignedJWT(now func() time.Time) authenticate {
	return func(_ context.Context, s signing) (*Credential, *callerror.Error) {
		if s.DryRun {
			s.putToken(scrub.Mask)
			return nil, nil
		}
		issued, expires := window(s.auth, signedLifetime, now())
		token, e := sign(s, claims{
			issuer: s.auth.AssertionIssuer, subject: s.auth.AssertionSubject, audience: s.auth.AssertionAudience, issued: issued, expires: expires,
		})
		if e != nil {
			return nil, e
		}
		s.putToken(token)
		s.Request.AddSecrets(token[strings.LastIndexByte(token, '.')+1:])
		return nil, nil
	}
}
