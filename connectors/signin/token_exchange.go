package signin

import (
	"cmp"
	"context"
	"fmt"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

const (
	exchangeGrant  = "urn:ietf:params:oauth:grant-type:token-exchange" // RFC 8693, 2.1
	jwtBearerGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer"     //nolint:gosec // a name (RFC 7523, 2.1)
)

// requestTokenExchange exchanges a subject token for the token that calls carry (RFC 8693).
// An ID-JAG is no such token: it is good for one at the authorization server of the resource.
func requestTokenExchange(ctx context.Context, i *issuer, s signing) (tokenRequest, *callerror.Error) {
	if s.auth.AssertsIdentity() {
		return requestByIdentity(ctx, i, s)
	}
	server, e := i.server(ctx, s, tokenPlace(s.auth))
	if e != nil {
		return tokenRequest{}, e
	}
	return s.exchange(i, server, withResource(s.auth, server, map[string]string{}))
}

// exchange returns the request for the exchange of the subject token, for what params name.
func (s signing) exchange(i *issuer, server domain.AuthorizationServer, params map[string]string) (tokenRequest, *callerror.Error) {
	a := s.auth
	params["grant_type"], params["subject_token_type"] = exchangeGrant, a.SubjectType()
	if a.RequestedTokenType != "" {
		params["requested_token_type"] = domain.TokenTypeURI(a.RequestedTokenType)
	}
	if params["audience"] == "" && a.Audience != "" {
		params["audience"] = a.Audience
	}
	b := tokenBuilder{issuer: i, signing: s, endpoint: server.TokenEndpoint, encoding: formEncoding, params: params}
	b.secret("subject_token", s.secrets[domain.SubjectTokenField].Reveal())
	if actor, ok := s.secrets[domain.ActorTokenField]; ok {
		params["actor_token_type"] = domain.TokenTypeURI(cmp.Or(a.ActorTokenType, "access_token"))
		b.secret("actor_token", actor.Reveal())
	}
	return b.buildFor(client{a.ClientAuthMethod, a.ClientID, s.secret}, server)
}

// requestByIdentity is the request to the authorization server of the resource, for the
// ID-JAG that the identity provider gives for the subject token
// (draft-ietf-oauth-identity-assertion-authz-grant, 4; MCP, Enterprise-Managed Authorization).
func requestByIdentity(ctx context.Context, i *issuer, s signing) (tokenRequest, *callerror.Error) {
	a := s.auth
	server, e := i.server(ctx, s, resourcePlace(a))
	if e != nil {
		return tokenRequest{}, e
	}
	assertion, e := i.identityAssertion(ctx, s, server)
	if e != nil {
		return tokenRequest{}, e
	}
	own := s
	own.auth.TokenParams, own.auth.TokenHeaders, own.auth.TokenMethod, own.auth.TokenRequest, own.certificate = nil, nil, "", "", nil // which the identity provider gets
	b := tokenBuilder{issuer: i, signing: own, endpoint: server.TokenEndpoint, encoding: formEncoding, params: withScopes(a, map[string]string{"grant_type": jwtBearerGrant})}
	b.secret("assertion", assertion)
	return b.buildFor(client{a.ResourceClientAuthMethod, a.ResourceClientID, s.secrets[domain.ResourceSecretField]}, server)
}

// identityAssertion gets an ID-JAG from the identity provider, for the authorization server
// of the resource.
func (i *issuer) identityAssertion(ctx context.Context, s signing, server domain.AuthorizationServer) (string, *callerror.Error) {
	provider, e := i.server(ctx, s, tokenPlace(s.auth))
	if e != nil {
		return "", ofProvider(e)
	}
	params := withResource(s.auth, server, map[string]string{"audience": cmp.Or(s.auth.Audience, server.Issuer)})
	r, e := s.exchange(i, provider, params)
	if e != nil {
		return "", e
	}
	got, e := i.client.Do(ctx, r.Request)
	if e != nil {
		return "", ofProvider(ofTokenEndpoint(e))
	}
	given, e := i.read(grant{read: readIdentityAssertion}, s, r, got)
	if e != nil {
		return "", ofProvider(e)
	}
	return given.text, nil
}

// readIdentityAssertion reads an ID-JAG: what the answer has is one only if it says so.
func readIdentityAssertion(_ domain.Auth, answer map[string]any) (issued, *callerror.Error) {
	if kind, _ := answer["issued_token_type"].(string); kind != domain.TokenTypeURI(domain.IDJAG) {
		return issued{}, callerror.Misconfigured("The token endpoint gave a token of the type %q where an ID-JAG was asked for.", oneLine(kind, 100))
	}
	text, _ := answer["access_token"].(string)
	return issued{text: text}, nil
}

// ofProvider returns e with where it happened, of the two token endpoints.
func ofProvider(e *callerror.Error) *callerror.Error {
	own := *e
	own.Sentence = fmt.Sprintf("At the identity provider: %s", e.Sentence)
	return &own
}
