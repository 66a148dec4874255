package domain

import (
	"strings"
)

// readAuth reads the auth member of o over the present one. If the type stays the
// same, absent fields keep their values; another type starts from its defaults. It
// returns the secret if one was given.
func readAuth(o *object, present *Auth) (auth *Auth, given *Secret) {
	if o.null("auth") {
		o.known["auth"] = true
		return nil, nil
	}
	auth = present
	o.object("auth", func(in *object) {
		var next Auth
		if present != nil {
			next = *present
		}
		if !readAuthType(in, &next) {
			return
		}
		if present == nil || present.Type != next.Type {
			next = Auth{Type: next.Type}.withDefaults()
		}
		next.read(in)
		given = readSecret(in, next.SecretField(), next)
		in.done()
		auth = &next
	})
	return auth, given
}

// readAuthType reads or infers the type, and reports whether there is one.
func readAuthType(in *object, auth *Auth) bool {
	if v, _ := in.given("type"); v == "gcp_wif" {
		in.problem("type", "auth_type_unsupported", "gcp_wif is not supported here")
		return false
	}
	before := len(*in.problems)
	if _, ok := in.given("type"); ok {
		choice(in, "type", &auth.Type, authTypes...)
		return len(*in.problems) == before
	}
	var implied []AuthType
	for field, t := range impliedTypes {
		if in.members[field] != nil {
			implied = append(implied, t)
		}
	}
	switch {
	case len(implied) == 1 && secretField[auth.Type] != secretField[implied[0]]:
		auth.Type = implied[0]
	case len(implied) > 1:
		in.problem("type", "required", "is required, because more than one secret is given")
		return false
	case auth.Type == "":
		in.problem("type", "required", "is required: one of %s", join(authTypes))
		return false
	}
	return true
}

// withDefaults returns a with the defaults of its type.
func (a Auth) withDefaults() Auth {
	switch a.Type {
	case APIKeyHeader:
		a.HeaderName = "X-API-Key"
	case ClientCredentials:
		a.ClientAuthMethod = "basic"
	case SMARTBackendServices:
		a.AssertionAlgorithm = "RS384"
	case JWTBearer:
		a.AssertionAlgorithm, a.TokenLifetimeSeconds = "RS256", 300
	case JSONTokenExchange:
		a.TokenRequestClientIDField, a.TokenRequestClientSecretField, a.TokenResponsePath = "client_id", "client_secret", "access_token"
	case BearerTokenExchange:
		a.ExchangeSecretHeader, a.ExchangeSecretFormat = "X-API-KEY", "{secret}"
		a.ExchangeTokenField, a.ExchangeDefaultTTLSeconds = "token", 3600
	case BearerToken, Basic:
	}
	return a
}

// read reads the fields that apply to the type.
func (a *Auth) read(in *object) {
	short := length(1, 2048)
	switch a.Type {
	case APIKeyHeader:
		a.readAPIKey(in)
	case BearerToken:
	case Basic:
		in.text("username", &a.Username, length(1, 512), noControl, noColon)
		in.required("username", a.Username != "")
	case ClientCredentials:
		in.text("client_id", &a.ClientID, short, noControl)
		in.text("token_url", &a.TokenURL, webURL)
		readScopes(in, &a.Scopes)
		choice(in, "client_auth_method", &a.ClientAuthMethod, "basic", "body")
		in.required("client_id", a.ClientID != "")
		in.required("token_url", a.TokenURL != "")
	case SMARTBackendServices:
		in.text("client_id", &a.ClientID, short, noControl)
		in.nullableText("token_url", &a.TokenURL, webURL)
		readScopes(in, &a.Scopes)
		in.nullableText("assertion_audience", &a.AssertionAudience, short, noControl)
		in.nullableText("assertion_kid", &a.AssertionKID, short, noControl)
		choice(in, "assertion_algorithm", &a.AssertionAlgorithm, "RS384", "ES384")
		in.required("client_id", a.ClientID != "")
	case JWTBearer:
		in.text("token_url", &a.TokenURL, webURL)
		in.text("assertion_issuer", &a.AssertionIssuer, short, noControl)
		in.nullableText("assertion_subject", &a.AssertionSubject, short, noControl)
		in.nullableText("assertion_audience", &a.AssertionAudience, short, noControl)
		in.nullableText("assertion_kid", &a.AssertionKID, short, noControl)
		choice(in, "assertion_algorithm", &a.AssertionAlgorithm, "RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
		in.boolean("assertion_scopes_in_jwt", &a.AssertionScopesInJWT)
		readScopes(in, &a.Scopes)
		in.integer("token_lifetime_seconds", &a.TokenLifetimeSeconds, 30, 3600)
		in.required("token_url", a.TokenURL != "")
		in.required("assertion_issuer", a.AssertionIssuer != "")
	case JSONTokenExchange:
		in.text("client_id", &a.ClientID, short, noControl)
		in.text("token_url", &a.TokenURL, webURL)
		in.text("token_request_client_id_field", &a.TokenRequestClientIDField, length(1, 128), noControl)
		in.text("token_request_client_secret_field", &a.TokenRequestClientSecretField, length(1, 128), noControl)
		in.text("token_response_path", &a.TokenResponsePath, length(1, 512), tokenPlace)
		in.required("client_id", a.ClientID != "")
		in.required("token_url", a.TokenURL != "")
	case BearerTokenExchange:
		a.readExchange(in)
	}
}

func (a *Auth) readAPIKey(in *object) {
	in.text("header_name", &a.HeaderName, credentialHeader)
	in.nullableText("query_name", &a.QueryName, length(1, 128), noControl)
	_, headerGiven := in.given("header_name")
	if _, queryGiven := in.given("query_name"); queryGiven && headerGiven {
		in.problem("query_name", "not_allowed", "the key goes in the header or in the query, not in both")
	}
	switch {
	case a.QueryName != "" && !headerGiven:
		a.HeaderName = ""
	case a.HeaderName == "":
		a.HeaderName = "X-API-Key"
	}
}

func (a *Auth) readExchange(in *object) {
	in.text("exchange_url", &a.ExchangeURL, webURL)
	in.text("exchange_secret_header", &a.ExchangeSecretHeader, credentialHeader)
	in.text("exchange_secret_format", &a.ExchangeSecretFormat, length(1, 512), noControl, secretFormat)
	in.text("exchange_token_field", &a.ExchangeTokenField, length(1, 512), tokenPlace)
	in.nullableText("exchange_expires_in_field", &a.ExchangeExpiresInField, length(1, 512), tokenPlace)
	in.integer("exchange_default_ttl_seconds", &a.ExchangeDefaultTTLSeconds, 120, 365*24*3600)
	in.required("exchange_url", a.ExchangeURL != "")
	var headers []ExchangeParamHeader
	if in.list("exchange_param_headers", 20, func(at string, element any) {
		members, ok := element.(map[string]any)
		if !ok {
			(&object{at: at, problems: in.problems}).problem("", "type", "must be an object")
			return
		}
		o := newObject(at, members, in.problems)
		var h ExchangeParamHeader
		o.text("header_name", &h.HeaderName, plainHeader)
		o.text("param_name", &h.ParamName, length(1, 128))
		o.boolean("required", &h.Required)
		o.boolean("consume", &h.Consume)
		o.required("header_name", h.HeaderName != "")
		o.required("param_name", h.ParamName != "")
		o.done()
		headers = append(headers, h)
	}) {
		a.ExchangeParamHeaders = headers
	}
}

// readScopes reads scopes as an array or as one string separated by spaces (RFC 6749, 3.3).
func readScopes(in *object, into *[]string) {
	if s, ok := in.members["scopes"].(string); ok {
		in.known["scopes"] = true
		if in.check("scopes", s, length(0, 4096), noControl) {
			*into = strings.Fields(s)
		}
		return
	}
	in.texts("scopes", into, 100, length(1, 256), noControl)
}

// readSecret reads a secret, given as "…" or as {"value": "…"}. No problem it
// reports contains the value.
func readSecret(in *object, name string, a Auth) *Secret {
	v, given := in.given(name)
	if !given {
		return nil
	}
	place := in
	if wrapped, ok := v.(map[string]any); ok {
		place, name = newObject(in.pointer(name), wrapped, in.problems), "value"
		v = wrapped["value"]
		place.known["value"] = true
		place.done()
	}
	text, ok := v.(string)
	if !ok {
		place.problem(name, "type", `must be a string, or an object like {"value": "…"}`)
		return nil
	}
	rules := []rule{length(1, 8192)}
	switch a.Type {
	case APIKeyHeader, BearerToken, BearerTokenExchange:
		rules = append(rules, noControl, noEdgeSpace)
	case SMARTBackendServices, JWTBearer:
		rules = append(rules, signingKey(a.AssertionAlgorithm))
	case Basic, ClientCredentials, JSONTokenExchange, "":
		rules = append(rules, noEdgeSpace)
	}
	if !place.check(name, text, rules...) {
		return nil
	}
	secret := NewSecret(text)
	return &secret
}

// noEdgeSpace is the rule that a secret neither begins nor ends with white space:
// HTTP strips it, so the value sent would differ from the value given.
func noEdgeSpace(s string) (string, string) {
	if strings.TrimSpace(s) != s {
		return "pattern", "must not begin or end with white space"
	}
	return "", ""
}

// signingKey is the rule that a string is a private key that signs with an algorithm.
func signingKey(algorithm string) rule {
	return func(s string) (string, string) {
		if _, err := ReadSigningKey(algorithm, s); err != nil {
			return "private_key_invalid", err.Error()
		}
		return "", ""
	}
}
