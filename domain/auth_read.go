package domain

// readAuth reads the auth member of o over the present one. If the type stays the
// same, absent fields keep their values; another type starts from its defaults. It
// returns the secrets that were given.
func readAuth(o *object, present *Auth) (auth *Auth, given givenSecrets) {
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
		given = givenSecrets{}
		next.read(in, given)
		next.readSecrets(in, given)
		readSecretStates(in, present)
		readKeyStates(in, present)
		in.allowNull(authFields...)
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
	case len(implied) == 1 && auth.SecretField() != secretField[implied[0]]:
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
	case ClientCredentials, TokenExchange:
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
	case SignedJWT:
		a.AssertionAlgorithm = "RS256"
	case OAuth1:
		a.SignatureMethod = "HMAC-SHA1"
	case AuthorizationCode:
		a.Registration = RegistrationAuto
	case BearerToken, Basic, AWSSigV4, Digest, HMAC, TLSCertificate:
	}
	return a
}

// read reads the fields that apply to the type.
func (a *Auth) read(in *object, given givenSecrets) {
	short := length(1, 2048)
	in.nullableText("client_certificate", &a.ClientCertificate, length(1, 65_536), certificateChain)
	switch a.Type {
	case APIKeyHeader:
		a.readAPIKey(in)
	case BearerToken:
	case Basic:
		in.text("username", &a.Username, length(0, 512), noControl, noColon)
	case ClientCredentials:
		in.boolean("dpop", &a.DPoP)
		in.text("client_id", &a.ClientID, short, noControl)
		a.readTokenEndpoint(in)
		choice(in, "client_auth_method", &a.ClientAuthMethod, clientAuthMethods...)
		in.required("client_id", a.ClientID != "")
		a.readClientAssertion(in)
	case SMARTBackendServices:
		in.boolean("dpop", &a.DPoP)
		in.text("client_id", &a.ClientID, short, noControl)
		in.nullableText("token_url", &a.TokenURL, webURL)
		readScopes(in, &a.Scopes)
		a.readAssertion(in, "RS384", "ES384")
		in.required("client_id", a.ClientID != "")
	case JWTBearer:
		in.boolean("dpop", &a.DPoP)
		in.text("token_url", &a.TokenURL, webURL)
		in.text("assertion_issuer", &a.AssertionIssuer, short, noControl)
		in.nullableText("assertion_subject", &a.AssertionSubject, short, noControl)
		a.readAnyAssertion(in)
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
	case SignedJWT:
		a.readSignedJWT(in)
	case AWSSigV4, OAuth1:
		a.readSigner(in)
	case Digest:
		in.text("username", &a.Username, length(1, 512), noControl, noColon)
		in.required("username", a.Username != "")
	case HMAC:
		a.readSignature(in)
	case AuthorizationCode:
		a.readConsent(in)
	case TokenExchange:
		a.readTokenExchange(in)
	case TLSCertificate:
		in.required("client_certificate", a.ClientCertificate != "")
	}
	if a.UsesToken() {
		a.readToken(in, given)
	}
}

func (a *Auth) readAPIKey(in *object) {
	in.text("header_name", &a.HeaderName, credentialHeader)
	in.nullableText("query_name", &a.QueryName, length(1, 128), noControl)
	in.nullableText("header_format", &a.HeaderFormat, length(1, 512), noControl, secretFormat)
	_, headerGiven := in.given("header_name")
	if _, queryGiven := in.given("query_name"); queryGiven && headerGiven {
		in.problem("query_name", "not_allowed", "the key goes in the header or in the query, not in both")
	}
	if a.QueryName != "" && a.HeaderFormat != "" {
		in.problem("header_format", "not_allowed", "a key in the query has no format")
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
	if _, asserts := in.given("assertion_algorithm"); asserts || a.AssertionAlgorithm != "" {
		in.text("assertion_issuer", &a.AssertionIssuer, length(1, 2048), noControl)
		in.nullableText("assertion_subject", &a.AssertionSubject, length(1, 2048), noControl)
		a.readAssertion(in, asymmetric...)
		in.required("assertion_issuer", a.AssertionIssuer != "")
	}
	var headers []ExchangeParamHeader
	if in.list("exchange_param_headers", 20, func(at string, element any) {
		members, ok := element.(map[string]any)
		if !ok {
			(&object{at: at, problems: in.problems}).problem("", "type", "must be an object")
			return
		}
		o := newObject(at, members, in.problems)
		var h ExchangeParamHeader
		o.text("header_name", &h.HeaderName, freeHeader)
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
