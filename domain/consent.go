package domain

import (
	"net/url"
	"time"
)

// An OAuthClient is who an authorization server knows the service as.
type OAuthClient struct {
	ID         string
	Secret     Secret // of a client that registered itself. Empty: client_secret_value of the auth, if that has one
	AuthMethod string // basic, basic_raw, body or none
}

// A TokenRequest is a request to a token endpoint for the tokens of a person's consent: for
// a code, for a refresh, or to revoke one.
type TokenRequest struct {
	Integration Integration
	Keyring     Keyring
	Endpoint    string
	Client      OAuthClient
	Params      url.Values // such as grant_type; those that the auth adds come beside them
	Secrets     []string   // names of params that nothing may show
	Proof       Secret     // the private key, in PEM, that the tokens are bound to (RFC 9449); empty: none
	Revoke      bool       // any answer of success will do: none has a token
}

// TokenOutcome is what a request for a token led to.
type TokenOutcome string

// The outcomes of a request for a token.
const (
	TokenGranted    TokenOutcome = "granted"
	TokenNotSent    TokenOutcome = "not_sent"    // nothing was sent: another request is safe
	TokenAnswerLost TokenOutcome = "answer_lost" // it was sent and answered with 5xx or not at all: it may have been processed
	TokenBusy       TokenOutcome = "busy"        // refused for now, and not processed
	TokenRefused    TokenOutcome = "refused"
)

// A TokenAnswer is what a token endpoint answered.
type TokenAnswer struct {
	Outcome    TokenOutcome
	Access     Secret
	Refresh    Secret        // empty: none was given, so an earlier one stays
	Lifetime   time.Duration // of the access token. 0: none was named
	Scopes     []string
	HasScopes  bool   // false: as requested (RFC 6749, 5.1)
	Proved     bool   // each use of the access token takes a proof (RFC 9449)
	Account    string // who consented. Empty: unknown
	Captured   map[string]string
	Unfit      []string // captures whose values are none that they may be
	Code       string   // the error of a refusal, such as invalid_grant
	Sentence   string   // for people, with no secret in it
	RetryAfter time.Duration
}

// terminal are the errors that end a grant: RFC 6749, 5.2, and those that vendors use in
// its place.
var terminal = map[string]bool{
	"invalid_grant": true, "bad_refresh_token": true, "invalid_refresh_token": true, "token_revoked": true, "token_expired": true, "account_inactive": true,
}

// Ends reports whether a refusal means that the grant has ended. A status alone proves
// nothing.
func (a TokenAnswer) Ends() bool { return a.Outcome == TokenRefused && terminal[a.Code] }

// An AuthorizationServer is where a person consents, and where tokens come from.
type AuthorizationServer struct {
	Issuer                string   `json:"issuer,omitempty"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	RevocationEndpoint    string   `json:"revocation_endpoint,omitempty"`
	RegistrationEndpoint  string   `json:"registration_endpoint,omitempty"`
	NamesIssuer           bool     `json:"names_issuer,omitempty"`     // authorization_response_iss_parameter_supported (RFC 9207)
	ClientDocuments       bool     `json:"client_documents,omitempty"` // client_id_metadata_document_supported
	AuthMethods           []string `json:"auth_methods,omitempty"`     // token_endpoint_auth_methods_supported; nil: not named
	GrantTypes            []string `json:"grant_types,omitempty"`      // grant_types_supported; nil: not named
	Scopes                []string `json:"scopes_supported,omitempty"` // of the server
	Resource              string   `json:"resource,omitempty"`         // what is asked for, byte for byte (RFC 8707); "": none
	ResourceScopes        []string `json:"resource_scopes,omitempty"`  // what the resource lists (RFC 9728)
	ChallengeScopes       []string `json:"challenge_scopes,omitempty"` // what its challenge asks for (RFC 6750, 3)
	ChallengeNamesScopes  bool     `json:"challenge_has_scope,omitempty"`
}

// An Identity is what an API answered to the question who has signed in.
type Identity struct {
	Account  string // "": it names nobody
	Captured map[string]string
	Choices  map[string][]Choice // captures that have several values
	Unfit    []string            // captures whose values are none that they may be
}

// RegisteredClient is what an authorization server made of a registration (RFC 7591, 3.2.1).
type RegisteredClient struct {
	OAuthClient
	Expires time.Time // of its secret; zero: never
}

// ApplicationType returns what kind of client comes back to a redirect URI (OpenID Connect
// Dynamic Client Registration 1.0, 2): one on the machine of the person, or one on the web.
func ApplicationType(redirectURI string) string {
	if u, err := url.Parse(redirectURI); err == nil && u.Scheme == "http" && isLoopback(u.Hostname()) {
		return "native"
	}
	return "web"
}

// ClientMetadata is what the service registers itself as.
type ClientMetadata struct {
	RedirectURI string
	Method      string // of authentication at the token endpoint: basic, body or none
	Scopes      []string
	Refresh     bool // the server gives refresh tokens
}
