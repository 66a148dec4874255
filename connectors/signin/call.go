package signin

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/domain"
)

// Call is a request that is about to be signed, and what it is for.
type Call struct {
	Integration domain.Integration
	Auth        *domain.Auth // nil: no credentials
	Keyring     domain.Keyring
	Request     *egress.Request
	BaseURL     string      // that the request is below
	Exchange    http.Header // headers for the exchange of a token; see ExchangeHeaders
	Opened      []string    // ids of secrets that the request carries already
	Program     bool        // a program is started instead of sending the request
	DryRun      bool        // the request is only shown, so no token is fetched

	Retry domain.RetryConfig // how often a busy token endpoint is asked again
}

// base returns the base URL that the call is signed for.
func (c Call) base() string {
	for _, base := range []string{c.BaseURL, c.Integration.BaseURL, c.Integration.MCPURL} {
		if base != "" {
			return strings.TrimRight(base, "/")
		}
	}
	return ""
}

// signing is a call with its opened secrets.
type signing struct {
	Call
	auth    domain.Auth
	refs    []usedSecret
	secrets map[string]domain.Secret // by field
	secret  domain.Secret            // the main one

	certificate *egress.ClientCertificate // nil: none
}

// Credential is what a request was signed with. A nil Credential can't be renewed.
type Credential struct {
	Detail string // how its token was obtained, for people

	renew  func(context.Context) *callerror.Error
	asked  func() bool // the upstream wants another proof of the same token; nil: it takes none
	failed bool
}

// Renew puts a fresh token on the request when the upstream answered 401 to the one it
// carried, once. It reports whether the request should be sent again, and the error
// that prevents it. An upstream that answers 401 has not processed the request.
func (c *Credential) Renew(ctx context.Context, status int) (bool, *callerror.Error) {
	if c != nil && c.asked != nil && status == http.StatusUnauthorized && c.asked() {
		c.asked = nil
		return true, nil
	}
	if c == nil || c.renew == nil || status != http.StatusUnauthorized {
		return false, nil
	}
	renew := c.renew
	c.renew = nil
	e := renew(ctx)
	c.failed = e != nil
	return e == nil, e
}

// Failed reports whether a renewal failed.
func (c *Credential) Failed() bool { return c != nil && c.failed }

// givenFor reports whether a secret was given for the origin of target: itself, or
// a token that is issued for it.
func givenFor(ref domain.SecretRef, target string, itself bool) bool {
	origin := domain.Origin(target)
	return origin != "" && slices.ContainsFunc(ref.Destinations, func(d string) bool {
		destination, place, _ := strings.Cut(d, " ")
		return domain.SameOrigin(destination, origin) && (!itself || !domain.IsTokenPlace(place))
	})
}

// authenticate puts the credential of one type of auth on a request.
type authenticate func(context.Context, signing) (*Credential, *callerror.Error)

// usedSecret is a secret of an auth, and where it is used.
type usedSecret struct {
	use       domain.SecretUse
	ref       domain.SecretRef
	generated bool // by the service, which rotates it
}
