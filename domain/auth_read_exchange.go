package domain

import (
	"cmp"
	"net/url"
	"slices"
)

// clientAuthMethods are the ways in which a client that gets tokens for itself may prove
// itself.
var clientAuthMethods = []string{"basic", "basic_raw", "body", "private_key_jwt", "client_secret_jwt", "none", "tls"}

// readTokenEndpoint reads where tokens are requested, and for what.
func (a *Auth) readTokenEndpoint(in *object) {
	in.nullableText("token_url", &a.TokenURL, webURL)
	in.nullableText("issuer", &a.Issuer, webURL, secureURL)
	in.nullableText("resource", &a.Resource, length(1, 2048), noControl, resourceName)
	readScopes(in, &a.Scopes)
	if a.TokenURL != "" && a.Issuer != "" {
		in.problem("issuer", "not_allowed", "names the token endpoint, and so does token_url: give one of them")
	}
}

// readTokenExchange reads the members of TokenExchange.
func (a *Auth) readTokenExchange(in *object) {
	short := length(1, 2048)
	a.readTokenEndpoint(in)
	in.nullableText("client_id", &a.ClientID, short, noControl)
	choice(in, "client_auth_method", &a.ClientAuthMethod, clientAuthMethods...)
	in.required("client_id", a.ClientID != "" || a.ClientAuthMethod == "none")
	a.readClientAssertion(in)
	in.nullableText("subject_token_type", &a.SubjectTokenType, short, tokenType)
	in.nullableText("actor_token_type", &a.ActorTokenType, short, tokenType)
	in.nullableText("requested_token_type", &a.RequestedTokenType, short, tokenType)
	in.nullableText("audience", &a.Audience, short, noControl)
	if !a.AssertsIdentity() {
		for _, name := range []string{"resource_token_url", "resource_issuer", "resource_client_id", "resource_client_auth_method", ResourceSecretField} {
			in.refuseGiven(name, "only an exchange for an ID-JAG has this: set requested_token_type to id-jag")
		}
		a.ResourceTokenURL, a.ResourceIssuer, a.ResourceClientID, a.ResourceClientAuthMethod = "", "", "", ""
		return
	}
	a.ResourceClientAuthMethod = cmp.Or(a.ResourceClientAuthMethod, "basic")
	in.nullableText("resource_token_url", &a.ResourceTokenURL, webURL, secureURL)
	in.nullableText("resource_issuer", &a.ResourceIssuer, webURL, secureURL)
	in.nullableText("resource_client_id", &a.ResourceClientID, short, noControl)
	choice(in, "resource_client_auth_method", &a.ResourceClientAuthMethod, "basic", "basic_raw", "body", "none")
	in.required("resource_client_id", a.ResourceClientID != "")
	in.required("token_url", a.TokenURL != "" || a.Issuer != "")
	in.required("audience", a.Audience != "" || a.ResourceTokenURL == "")
	if a.ResourceTokenURL != "" && a.ResourceIssuer != "" {
		in.problem("resource_issuer", "not_allowed", "names the token endpoint, and so does resource_token_url: give one of them")
	}
}

// tokenType is the rule that a text names a type of token.
func tokenType(s string) (string, string) {
	if u, err := url.Parse(s); !slices.Contains(tokenTypes, s) && (err != nil || u.Scheme == "") {
		return "one_of", "must be one of " + join(tokenTypes) + ", or a URI (RFC 8693, 3)"
	}
	return "", ""
}
