package signin

import (
	"context"
	"strings"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

func withScopes(a domain.Auth, params map[string]string) map[string]string {
	if len(a.Scopes) > 0 {
		params["scope"] = strings.Join(a.Scopes, " ")
	}
	return params
}

// requestWithClient uses client credentials (RFC 6749, 4.4), and proves the client in the
// way that client_auth_method names.
func requestWithClient(ctx context.Context, i *issuer, s signing) (tokenRequest, *callerror.Error) {
	server, e := i.server(ctx, s, tokenPlace(s.auth))
	if e != nil {
		return tokenRequest{}, e
	}
	params := withResource(s.auth, server, map[string]string{"grant_type": "client_credentials"})
	b := tokenBuilder{issuer: i, signing: s, endpoint: server.TokenEndpoint, encoding: formEncoding, params: params}
	return b.buildFor(client{s.auth.ClientAuthMethod, s.auth.ClientID, s.secret}, server)
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
	params := map[string]string{"grant_type": jwtBearerGrant}
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
