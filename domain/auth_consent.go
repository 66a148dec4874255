package domain

import (
	"cmp"
	"time"
)

// AuthorizationCode is the type of auth for which a person signs in and consents
// (RFC 6749, 4.1, with the PKCE of RFC 7636).
const AuthorizationCode AuthType = "oauth2_authorization_code"

// How the client of an authorization server comes to be.
const (
	RegistrationAuto          = "auto"              // the first of the others that the server takes
	RegistrationPreRegistered = "pre_registered"    // client_id is given
	RegistrationDocument      = "metadata_document" // the URL of a document names the client
	RegistrationDynamic       = "dynamic"           // RFC 7591
)

// NoResource is the resource of an authorization server that refuses the parameter
// resource of RFC 8707.
const NoResource = "none"

// Consent is what AuthorizationCode has beside what all types that use a token have.
type Consent struct {
	Registration        string             `json:"registration,omitempty"`
	Issuer              string             `json:"issuer,omitempty"` // the one that is trusted. Empty: the one that is discovered
	AuthorizationURL    string             `json:"authorization_url,omitempty"`
	RevocationURL       string             `json:"revocation_url,omitempty"`        // RFC 7009
	Resource            string             `json:"resource,omitempty"`              // RFC 8707. Empty: the one that is discovered; NoResource: none
	AuthorizationParams map[string]*string `json:"authorization_params,omitempty"`  // such as access_type=offline
	TokenResponse       *TokenResponse     `json:"token_response,omitempty"`        // nil: as in RFC 6749, 5.1
	PKCE                string             `json:"pkce,omitempty"`                  // assume: the server does S256 without naming it
	ScopeOnRefresh      bool               `json:"scope_on_refresh,omitempty"`      // the granted scopes go with each refresh
	RequireAllScopes    bool               `json:"require_all_scopes,omitempty"`    // a consent to a part of them is refused
	KeepAliveSeconds    *int               `json:"keep_alive_seconds,omitempty"`    // how long a refresh token may stay unused; nil: a day; 0: without a limit
	DefaultTTLSeconds   int                `json:"token_default_seconds,omitempty"` // of a token whose answer names no lifetime. 0: until it is refused
	Redirect            string             `json:"redirect,omitempty"`              // OwnRedirect, SharedRedirect, or empty: as the client came to be
	OfflineAccess       string             `json:"offline_access,omitempty"`        // omit: the scope offline_access is never added
	Capture             map[string]Capture `json:"capture,omitempty"`               // by name
	IdentityCall        *IdentityCall      `json:"identity_call,omitempty"`         // nil: none
	CallbackHMAC        string             `json:"callback_hmac,omitempty"`         // the parameter that has an HMAC of the others. Empty: none
}

// Which address the authorization server sends a person back to.
const (
	OwnRedirect    = "own"    // one of the integration alone: the answer of another server is not taken for one of this
	SharedRedirect = "shared" // the one of the service
)

// HasOwnRedirect reports whether persons are sent back to an address of the integration
// alone: the default for a client that the service makes known itself.
func (c Consent) HasOwnRedirect(clientID string) bool {
	return c.Redirect == OwnRedirect || c.Redirect == "" && clientID == ""
}

// TokenResponse is where a token endpoint's answer has its parts: paths of members and
// indexes.
type TokenResponse struct {
	AccessToken  string `json:"access_token,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
	ExpiresIn    string `json:"expires_in,omitempty"`
	Scope        string `json:"scope,omitempty"`
	OK           string `json:"ok,omitempty"`      // a member that is false in an answer that refuses
	Account      string `json:"account,omitempty"` // who consented. Empty: the sub of an ID token
}

// Places returns the places of a token response, with the defaults of RFC 6749, 5.1.
func (c Consent) Places() TokenResponse {
	p := TokenResponse{}
	if c.TokenResponse != nil {
		p = *c.TokenResponse
	}
	p.AccessToken = cmp.Or(p.AccessToken, "access_token")
	p.RefreshToken = cmp.Or(p.RefreshToken, "refresh_token")
	p.ExpiresIn = cmp.Or(p.ExpiresIn, "expires_in")
	p.Scope = cmp.Or(p.Scope, "scope")
	return p
}

// MinKeepAlive is the shortest time after which an unused refresh token is used.
const MinKeepAlive = time.Hour

// KeepAlive returns for how long a refresh token may stay unused; 0: without a limit.
func (a Auth) KeepAlive() time.Duration {
	if a.Type != AuthorizationCode {
		return 0
	}
	if a.KeepAliveSeconds == nil {
		return 24 * time.Hour
	}
	return time.Duration(*a.KeepAliveSeconds) * time.Second
}
