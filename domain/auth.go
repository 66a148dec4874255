package domain

import (
	"encoding/json"
	"net/textproto"
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
	SignedJWT            AuthType = "signed_jwt" // a JWT that the client signs itself, as a bearer token
	AWSSigV4             AuthType = "aws_sigv4"  // AWS Signature Version 4
	OAuth1               AuthType = "oauth1"     // RFC 5849
	Digest               AuthType = "digest"     // RFC 7616
	HMAC                 AuthType = "hmac"       // RFC 9421, and signatures by a template
	TLSCertificate       AuthType = "client_certificate"
)

// authTypes lists every AuthType.
var authTypes = []AuthType{
	APIKeyHeader, BearerToken, Basic, ClientCredentials, SMARTBackendServices, JWTBearer, JSONTokenExchange, BearerTokenExchange,
	SignedJWT, AWSSigV4, OAuth1, Digest, HMAC, TLSCertificate, AuthorizationCode, TokenExchange,
}

// authFields are the members of an auth of any type.
var authFields = []string{
	"header_name", "query_name", "header_format", "username", "client_id", "token_url", "scopes", "client_auth_method", "dpop",
	"token_method", "token_request", "token_params", "token_headers", "token_answer", "token_in",
	"assertion_issuer", "assertion_subject", "assertion_audience", "assertion_kid", "assertion_algorithm", "assertion_scopes_in_jwt",
	"assertion_lifetime_seconds", "assertion_claims", "assertion_certificate", "private_key_generate", "token_lifetime_seconds",
	"token_request_client_id_field", "token_request_client_secret_field", "token_response_path",
	"exchange_url", "exchange_secret_header", "exchange_secret_format", "exchange_token_field", "exchange_expires_in_field",
	"exchange_default_ttl_seconds", "exchange_param_headers",
	"access_key_id", "region", "service", "consumer_key", "token", "realm", "signature_method", "signature", "secret_encoding",
	"client_certificate",
	"registration", "issuer", "authorization_url", "revocation_url", "resource", "authorization_params", "token_response", "pkce",
	"scope_on_refresh", "require_all_scopes", "token_default_seconds", "keep_alive_seconds", "redirect", "offline_access", "capture", "identity_call", "callback_hmac",
	"subject_token_type", "actor_token_type", "requested_token_type", "audience",
	"resource_token_url", "resource_issuer", "resource_client_id", "resource_client_auth_method",
	"api_key_value", "bearer_token_value", "exchange_secret_value", "secret_access_key_value", "consumer_secret_value",
	PrivateKeyField, ClientSecretField, ClientKeyField, UsernameField, PasswordField, SharedSecretField, SessionTokenField, TokenSecretField,
	SubjectTokenField, ActorTokenField, ResourceSecretField,
}

// Auth describes how calls authenticate. Type decides which of the other fields
// apply; the rest are empty.
type Auth struct {
	Type AuthType `json:"type"`

	HeaderName   string `json:"header_name,omitempty"`   // api_key_header
	QueryName    string `json:"query_name,omitempty"`    // api_key_header: in the query instead
	HeaderFormat string `json:"header_format,omitempty"` // api_key_header: such as "Token {secret}"; empty: the key alone
	Username     string `json:"username,omitempty"`      // basic

	ClientID         string   `json:"client_id,omitempty"`
	TokenURL         string   `json:"token_url,omitempty"`
	Scopes           []string `json:"scopes,omitempty"`
	ClientAuthMethod string   `json:"client_auth_method,omitempty"` // basic, basic_raw, body, private_key_jwt, client_secret_jwt, none or tls

	DPoP bool `json:"dpop,omitempty"` // tokens are bound to a key, which proves each request (RFC 9449)

	// The request for a token, and where the token goes. A nil value of a map is a secret.
	TokenMethod  string             `json:"token_method,omitempty"`  // POST or GET. Empty: POST
	TokenRequest string             `json:"token_request,omitempty"` // form, json or query. Empty: as the type has it
	TokenParams  map[string]*string `json:"token_params,omitempty"`
	TokenHeaders map[string]*string `json:"token_headers,omitempty"`
	TokenAnswer  string             `json:"token_answer,omitempty"` // text: the whole answer is the token. Empty: JSON
	TokenIn      *TokenIn           `json:"token_in,omitempty"`     // nil: Authorization: Bearer

	AssertionIssuer          string          `json:"assertion_issuer,omitempty"`
	AssertionSubject         string          `json:"assertion_subject,omitempty"`
	AssertionAudience        string          `json:"assertion_audience,omitempty"`
	AssertionKID             string          `json:"assertion_kid,omitempty"`
	AssertionAlgorithm       string          `json:"assertion_algorithm,omitempty"`
	AssertionScopesInJWT     bool            `json:"assertion_scopes_in_jwt,omitempty"`
	AssertionLifetimeSeconds int             `json:"assertion_lifetime_seconds,omitempty"` // 0: as the type has it
	AssertionClaims          json.RawMessage `json:"assertion_claims,omitempty"`           // a JSON object of more claims
	AssertionCertificate     string          `json:"assertion_certificate,omitempty"`      // PEM; assertions name it by x5t#S256
	PrivateKeyGenerate       string          `json:"private_key_generate,omitempty"`       // the algorithm of the key that the service generates
	SigningKeys              []PublishedKey  `json:"signing_keys,omitempty"`               // generated, by the time from which they sign
	TokenLifetimeSeconds     int             `json:"token_lifetime_seconds,omitempty"`

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

	Consent // oauth2_authorization_code. Issuer and Resource: of the types that may discover their token endpoint

	Exchange // oauth2_token_exchange

	AccessKeyID string `json:"access_key_id,omitempty"` // aws_sigv4
	Region      string `json:"region,omitempty"`        // aws_sigv4
	Service     string `json:"service,omitempty"`       // aws_sigv4

	ConsumerKey     string `json:"consumer_key,omitempty"`     // oauth1
	Token           string `json:"token,omitempty"`            // oauth1
	Realm           string `json:"realm,omitempty"`            // oauth1
	SignatureMethod string `json:"signature_method,omitempty"` // oauth1: HMAC-SHA1, HMAC-SHA256, HMAC-SHA512 or PLAINTEXT

	Signature      *Signature `json:"signature,omitempty"`       // hmac
	SecretEncoding string     `json:"secret_encoding,omitempty"` // of a shared secret: hex or base64. Empty: the text itself

	ClientCertificate string `json:"client_certificate,omitempty"` // PEM, for TLS (RFC 8705)

	Secrets map[string]SecretRef `json:"secrets,omitempty"` // by field, such as api_key_value
}

// ExchangeParamHeader sends a call's parameter to the exchange as a header.
type ExchangeParamHeader struct {
	HeaderName string `json:"header_name"`
	ParamName  string `json:"param_name"`
	Required   bool   `json:"required,omitempty"`
	Consume    bool   `json:"consume,omitempty"` // the parameter is not sent to the upstream
}

// UsesToken reports whether calls carry a token that is issued for the secret.
func (a Auth) UsesToken() bool {
	switch a.Type {
	case ClientCredentials, SMARTBackendServices, JWTBearer, JSONTokenExchange, BearerTokenExchange, AuthorizationCode, TokenExchange:
		return true
	case APIKeyHeader, BearerToken, Basic, SignedJWT, AWSSigV4, OAuth1, Digest, HMAC, TLSCertificate:
	}
	return false
}

// sets reports whether the auth sets a header, given in its canonical form. The auth may be
// nil.
func (a *Auth) sets(header string) bool {
	switch {
	case a == nil:
		return false
	case a.header() != "":
		return textproto.CanonicalMIMEHeaderKey(a.header()) == header
	case a.Type == APIKeyHeader || a.Type == TLSCertificate || a.TokenIn != nil:
		return false
	case a.Type == HMAC:
		return a.Signature != nil && (textproto.CanonicalMIMEHeaderKey(a.Signature.Header) == header || a.Signature.Template == "" && (header == "Signature" || header == "Signature-Input"))
	}
	return header == "Authorization"
}

// HasQuery reports whether a credential is in the query under name. The auth may be nil.
func (a *Auth) HasQuery(name string) bool {
	return a != nil && (a.QueryName == name || a.TokenIn != nil && a.TokenIn.Query == name)
}

// header returns the name of the header that carries the secret, "" if it isn't
// sent in a header of its own. The auth may be nil.
func (a *Auth) header() string {
	switch {
	case a == nil:
		return ""
	case a.HeaderName == "" && a.TokenIn != nil:
		return a.TokenIn.Header
	}
	return a.HeaderName
}
