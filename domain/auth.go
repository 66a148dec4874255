package domain

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// AuthType is a method of authentication.
type AuthType string

// The methods of authentication. The set is closed.
const (
	APIKeyHeader         AuthType = "api_key_header"
	BearerToken          AuthType = "bearer_token"
	Basic                AuthType = "basic"
	ClientCredentials    AuthType = "oauth2_client_credentials" // RFC 6749, 4.4
	SMARTBackendServices AuthType = "smart_backend_services"    // HL7 SMART App Launch 2, Backend Services
	JWTBearer            AuthType = "oauth2_jwt_bearer"         // RFC 7523
	JSONTokenExchange    AuthType = "json_token_exchange"
	BearerTokenExchange  AuthType = "bearer_token_exchange"
)

// authTypes lists every AuthType.
var authTypes = []AuthType{
	APIKeyHeader, BearerToken, Basic, ClientCredentials, SMARTBackendServices, JWTBearer, JSONTokenExchange, BearerTokenExchange,
}

// PrivateKeyField is the secret of the types that authenticate with a private key.
const PrivateKeyField = "private_key_value"

// secretField names the one secret of each type.
var secretField = map[AuthType]string{
	APIKeyHeader:         "api_key_value",
	BearerToken:          "bearer_token_value",
	Basic:                "password_value",
	ClientCredentials:    "client_secret_value",
	SMARTBackendServices: PrivateKeyField,
	JWTBearer:            PrivateKeyField,
	JSONTokenExchange:    "client_secret_value",
	BearerTokenExchange:  "exchange_secret_value",
}

// impliedTypes maps a lone secret to the type it implies when no type is given.
var impliedTypes = map[string]AuthType{
	"api_key_value":       APIKeyHeader,
	"bearer_token_value":  BearerToken,
	"client_secret_value": ClientCredentials,
	PrivateKeyField:       SMARTBackendServices,
}

// Auth describes how calls authenticate. Type decides which of the other fields
// apply; the rest are empty.
type Auth struct {
	Type AuthType `json:"type"`

	HeaderName string `json:"header_name,omitempty"` // api_key_header
	QueryName  string `json:"query_name,omitempty"`  // api_key_header: in the query instead
	Username   string `json:"username,omitempty"`    // basic

	ClientID         string   `json:"client_id,omitempty"`
	TokenURL         string   `json:"token_url,omitempty"`
	Scopes           []string `json:"scopes,omitempty"`
	ClientAuthMethod string   `json:"client_auth_method,omitempty"` // basic or body

	AssertionIssuer      string `json:"assertion_issuer,omitempty"`
	AssertionSubject     string `json:"assertion_subject,omitempty"`
	AssertionAudience    string `json:"assertion_audience,omitempty"`
	AssertionKID         string `json:"assertion_kid,omitempty"`
	AssertionAlgorithm   string `json:"assertion_algorithm,omitempty"`
	AssertionScopesInJWT bool   `json:"assertion_scopes_in_jwt,omitempty"`
	TokenLifetimeSeconds int    `json:"token_lifetime_seconds,omitempty"`

	TokenRequestClientIDField     string `json:"token_request_client_id_field,omitempty"`
	TokenRequestClientSecretField string `json:"token_request_client_secret_field,omitempty"`
	TokenResponsePath             string `json:"token_response_path,omitempty"`

	ExchangeURL               string                `json:"exchange_url,omitempty"`
	ExchangeSecretHeader      string                `json:"exchange_secret_header,omitempty"`
	ExchangeSecretFormat      string                `json:"exchange_secret_format,omitempty"`
	ExchangeTokenField        string                `json:"exchange_token_field,omitempty"`
	ExchangeExpiresInField    string                `json:"exchange_expires_in_field,omitempty"`
	ExchangeDefaultTTLSeconds int                   `json:"exchange_default_ttl_seconds,omitempty"`
	ExchangeParamHeaders      []ExchangeParamHeader `json:"exchange_param_headers,omitempty"`

	Secrets map[string]SecretRef `json:"secrets,omitempty"` // by field, such as api_key_value
}

// ExchangeParamHeader sends a call's parameter to the exchange as a header.
type ExchangeParamHeader struct {
	HeaderName string `json:"header_name"`
	ParamName  string `json:"param_name"`
	Required   bool   `json:"required,omitempty"`
	Consume    bool   `json:"consume,omitempty"` // the parameter is not sent to the upstream
}

// SecretField names the field that holds the secret of this type.
func (a Auth) SecretField() string { return secretField[a.Type] }

// Secret returns the reference of the secret of this type.
func (a Auth) Secret() SecretRef { return a.Secrets[a.SecretField()] }

// TokenPlace marks a destination that receives a token, never the secret that
// the token was issued for.
const TokenPlace = "token"

// destinations returns where the secret of a goes, and where a token that is
// issued for it goes, when calls go to the given base URLs.
func (a Auth) destinations(baseURLs ...string) []string {
	place, called := a.place(), a.place()
	var tokenURLs []string
	if a.usesToken() {
		called, tokenURLs = TokenPlace, []string{a.TokenURL, a.ExchangeURL}
		if a.Type == SMARTBackendServices && a.TokenURL == "" {
			tokenURLs = baseURLs // they name their token endpoint
		}
	}
	set := map[string]bool{}
	add := func(urls []string, place string) {
		for _, u := range urls {
			if o := Origin(u); o != "" {
				set[o+" "+place] = true
			}
		}
	}
	add(baseURLs, called)
	add(tokenURLs, place)
	if more := a.tokenBinding(); more != "" {
		add(tokenURLs, more)
	}
	return slices.Sorted(maps.Keys(set))
}

// tokenBinding returns what else a secret is bound to at a token endpoint: the path of
// the token in the response, so that no other part of it can be read, and the
// identity that a private key asserts. It returns "" for none.
func (a Auth) tokenBinding() string {
	switch a.Type {
	case JSONTokenExchange:
		return fmt.Sprintf("reads %q", a.TokenResponsePath)
	case BearerTokenExchange:
		return fmt.Sprintf("reads %q and %q", a.ExchangeTokenField, a.ExchangeExpiresInField)
	case SMARTBackendServices:
		return fmt.Sprintf("as %q", a.ClientID)
	case JWTBearer:
		return fmt.Sprintf("as %q for %q", a.AssertionIssuer, a.AssertionSubject)
	case APIKeyHeader, BearerToken, Basic, ClientCredentials:
	}
	return ""
}

// usesToken reports whether calls carry a token that is issued for the secret.
func (a Auth) usesToken() bool {
	switch a.Type {
	case APIKeyHeader, BearerToken, Basic:
		return false
	case ClientCredentials, SMARTBackendServices, JWTBearer, JSONTokenExchange, BearerTokenExchange:
	}
	return true
}

// place returns where in a request the secret of a goes.
func (a Auth) place() string {
	switch a.Type {
	case APIKeyHeader:
		if a.QueryName != "" {
			return "query " + a.QueryName
		}
		return "header " + strings.ToLower(a.HeaderName)
	case ClientCredentials:
		return "client_secret_" + a.ClientAuthMethod
	case JSONTokenExchange:
		return "member " + a.TokenRequestClientSecretField
	case BearerTokenExchange:
		return "header " + strings.ToLower(a.ExchangeSecretHeader) + " " + a.ExchangeSecretFormat
	case BearerToken, Basic, SMARTBackendServices, JWTBearer:
	}
	return string(a.Type)
}

// withSecret returns the secrets of a: the given one, or the present one if it is
// kept. A secret may only be kept if it still goes where it was given for, or
// where it goes now. (Earlier versions recorded the destinations of a token and of
// the secret it was issued for as the same, so those don't distinguish the two.)
func withSecret(o *object, name string, present map[string]SecretRef, wanted SecretRef, now []string, given *Secret, at time.Time) (map[string]SecretRef, *SealedSecret) {
	old, had := present[name]
	wanted.Version, wanted.UpdatedAt = old.Version+1, at
	switch {
	case given != nil:
		return map[string]SecretRef{name: wanted}, &SealedSecret{Ref: wanted, Secret: *given}
	case had && (covers(old.Destinations, wanted.Destinations) || covers(now, wanted.Destinations)):
		return map[string]SecretRef{name: old}, nil
	case had:
		o.problem(name, "secret_required", "must be given again, because it would now go to another destination than the one it was given for")
	default:
		o.required(name, false)
	}
	return present, nil
}

// covers reports whether givenFor contains every wanted destination.
func covers(givenFor, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(d string) bool { return !slices.Contains(givenFor, d) })
}

// header returns the name of the header that carries the secret, "" if it isn't
// sent in a header of its own. The auth may be nil.
func (a *Auth) header() string {
	if a == nil {
		return ""
	}
	return a.HeaderName
}
