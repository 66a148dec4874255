package signin

import (
	"context"
	"maps"
	"net/url"
	"strings"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// assertionType is how a client assertion is labelled (RFC 7523, 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

func withScopes(a domain.Auth, params map[string]string) map[string]string {
	if len(a.Scopes) > 0 {
		params["scope"] = strings.Join(a.Scopes, " ")
	}
	return params
}

// requestWithClient uses client credentials (RFC 6749, 4.4), and proves the client in the
// way that client_auth_method names. With basic, id and secret are form-encoded before
// they are joined (2.3.1); with basic_raw they are not.
func requestWithClient(_ context.Context, i *issuer, s signing) (tokenRequest, *callerror.Error) {
	a, secret := s.auth, s.secret.Reveal()
	params := withScopes(a, map[string]string{"grant_type": "client_credentials"})
	b := tokenBuilder{issuer: i, signing: s, endpoint: a.TokenURL, encoding: formEncoding, params: params}
	var name, password string
	switch a.ClientAuthMethod {
	case "body":
		params["client_id"] = a.ClientID
		b.secret("client_secret", secret)
	case "none", "tls":
		params["client_id"] = a.ClientID
	case "private_key_jwt", "client_secret_jwt":
		assertion, e := clientAssertion(s, a.TokenURL, i.now())
		if e != nil {
			return tokenRequest{}, e
		}
		maps.Copy(params, map[string]string{"client_id": a.ClientID, "client_assertion_type": assertionType})
		b.asserts = true
		b.secret("client_assertion", assertion)
	case "basic_raw":
		name, password = a.ClientID, secret
	default:
		name, password = url.QueryEscape(a.ClientID), url.QueryEscape(secret)
	}
	r, e := b.build()
	if e == nil && name+password != "" {
		r.SetBasicAuth(name, password)
	}
	return r, e
}

// requestSMART is the request of a SMART backend service: client credentials, proved by
// an assertion (RFC 7523, 2.2).
func requestSMART(ctx context.Context, i *issuer, s signing) (tokenRequest, *callerror.Error) {
	endpoint, e := i.endpoint(ctx, s)
	if e != nil {
		return tokenRequest{}, e
	}
	assertion, e := clientAssertion(s, endpoint, i.now())
	if e != nil {
		return tokenRequest{}, e
	}
	b := tokenBuilder{issuer: i, signing: s, endpoint: endpoint, encoding: formEncoding, asserts: true, params: withScopes(s.auth, map[string]string{
		"grant_type": "client_credentials", "client_assertion_type": assertionType,
	})}
	b.secret("client_assertion", assertion)
	return b.build()
}

// requestJWTBearer exchanges an assertion for a token (RFC 7523, 2.1).
func requestJWTBearer(_ context.Context, i *issuer, s signing) (tokenRequest, *callerror.Error) {
	assertion, e := bearerAssertion(s, i.now())
	if e != nil {
		return tokenRequest{}, e
	}
	params := map[string]string{"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}
	if !s.auth.AssertionScopesInJWT {
		params = withScopes(s.auth, params)
	}
	b := tokenBuilder{issuer: i, signing: s, endpoint: s.auth.TokenURL, encoding: formEncoding, params: params, asserts: true}
	b.secret("assertion", assertion)
	return b.build()
}

// requestInJSON sends id and secret as members of a JSON object, unless token_request
// names another encoding.
func requestInJSON(_ context.Context, i *issuer, s signing) (tokenRequest, *callerror.Error) {
	b := tokenBuilder{issuer: i, signing: s, endpoint: s.auth.TokenURL, encoding: jsonEncoding, params: map[string]string{
		s.auth.TokenRequestClientIDField: s.auth.ClientID,
	}}
	b.secret(s.auth.TokenRequestClientSecretField, s.secret.Reveal())
	return b.build()
}
