package domain

import (
	"cmp"
	"slices"
)

// TokenExchange is the type of auth that exchanges a token for another one (RFC 8693).
const TokenExchange AuthType = "oauth2_token_exchange" //nolint:gosec // a name

// The secrets of TokenExchange beside that of its client.
const (
	SubjectTokenField   = "subject_token_value"
	ActorTokenField     = "actor_token_value" //nolint:gosec // a name
	ResourceSecretField = "resource_client_secret_value"
)

// IDJAG is the type of an identity assertion (draft-ietf-oauth-identity-assertion-authz-grant),
// which is good for a token at the authorization server of a resource.
const IDJAG = "id-jag"

// tokenTypes are the types of tokens that have a name here (RFC 8693, 3). Any other one is
// named by its URI.
var tokenTypes = []string{"access_token", "refresh_token", "id_token", "saml1", "saml2", "jwt", IDJAG}

// TokenTypeURI returns the URI of a type of token.
func TokenTypeURI(name string) string {
	if slices.Contains(tokenTypes, name) {
		return "urn:ietf:params:oauth:token-type:" + name
	}
	return name
}

// Exchange is what TokenExchange has beside what all types that use a token have.
type Exchange struct {
	SubjectTokenType   string `json:"subject_token_type,omitempty"` // a name of tokenTypes or a URI. Empty: access_token, or id_token for an ID-JAG
	ActorTokenType     string `json:"actor_token_type,omitempty"`   // Empty: access_token
	RequestedTokenType string `json:"requested_token_type,omitempty"`
	Audience           string `json:"audience,omitempty"` // Empty: none, or for an ID-JAG the issuer of the resource's authorization server

	// The authorization server of the resource, which takes an ID-JAG. Without a URL and an
	// issuer it is the one that the upstream names.
	ResourceTokenURL         string `json:"resource_token_url,omitempty"`
	ResourceIssuer           string `json:"resource_issuer,omitempty"`
	ResourceClientID         string `json:"resource_client_id,omitempty"`
	ResourceClientAuthMethod string `json:"resource_client_auth_method,omitempty"` // basic, basic_raw, body or none
}

// AssertsIdentity reports whether the token that is asked for is an ID-JAG.
func (x Exchange) AssertsIdentity() bool { return x.RequestedTokenType == IDJAG }

// SubjectType returns the URI of the type of the subject token.
func (x Exchange) SubjectType() string {
	usual := "access_token"
	if x.AssertsIdentity() {
		usual = "id_token"
	}
	return TokenTypeURI(cmp.Or(x.SubjectTokenType, usual))
}
