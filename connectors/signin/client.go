package signin

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/authserver"
	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// assertionType is how a client assertion is labelled (RFC 7523, 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// client is who asks for a token, and how it proves itself.
type client struct {
	method string // as client_auth_method has it
	id     string
	secret domain.Secret
}

// buildFor returns the request of b with the proof of a client. With basic, id and secret
// are form-encoded before they are joined (RFC 6749, 2.3.1); with basic_raw they are not.
// An assertion is for the issuer, or for the token endpoint where that is all that is known.
func (b *tokenBuilder) buildFor(c client, to domain.AuthorizationServer) (tokenRequest, *callerror.Error) {
	var name, password string
	switch c.method {
	case "body":
		b.params["client_id"] = c.id
		b.secret("client_secret", c.secret.Reveal())
	case "none", "tls":
		if c.id != "" {
			b.params["client_id"] = c.id
		}
	case "private_key_jwt", "client_secret_jwt":
		assertion, e := clientAssertion(b.signing, cmp.Or(to.Issuer, to.TokenEndpoint), b.now())
		if e != nil {
			return tokenRequest{}, e
		}
		maps.Copy(b.params, map[string]string{"client_id": c.id, "client_assertion_type": assertionType})
		b.asserts = true
		b.secret("client_assertion", assertion)
	case "basic_raw":
		name, password = c.id, c.secret.Reveal()
	default:
		name, password = url.QueryEscape(c.id), url.QueryEscape(c.secret.Reveal())
	}
	r, e := b.build()
	if e == nil && name+password != "" {
		r.SetBasicAuth(name, password)
	}
	if methods := authserver.SupportedMethods(to); len(methods) > 0 && !slices.Contains(methods, strings.TrimSuffix(c.method, "_raw")) {
		r.hint = " It takes a client that proves itself by " + strings.Join(methods, " or ") + ", and this one does by " + c.method + "."
	}
	return r, e
}
