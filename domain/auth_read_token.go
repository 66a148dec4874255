package domain

import (
	"encoding/json"
	"slices"
	"strings"
)

// maxTokenValues is how many parameters, or headers, may be added to a token request.
const maxTokenValues = 30

// secretParams are parameters of token requests whose values are always secret.
var secretParams = []string{"password", "client_secret", "refresh_token", "assertion", "client_assertion", "secret", "api_key"}

// readToken reads what the types that use a token have in common.
func (a *Auth) readToken(in *object, given givenSecrets) {
	if in.null("token_method") {
		a.TokenMethod = ""
	}
	if in.null("token_request") {
		a.TokenRequest = ""
	}
	if in.null("token_answer") {
		a.TokenAnswer = ""
	}
	choice(in, "token_method", &a.TokenMethod, "POST", "GET")
	choice(in, "token_request", &a.TokenRequest, "form", "json", "query")
	choice(in, "token_answer", &a.TokenAnswer, "json", "text")
	if a.TokenMethod == "GET" && a.TokenRequest != "query" {
		in.problem("token_request", "not_allowed", "must be query when token_method is GET: such a request has no body")
	}
	given.readValues(in, "token_params", &a.TokenParams, maxTokenValues, paramName, []rule{length(0, 4096), noControl}, []rule{length(1, maxSecret), noEdgeSpace})
	given.readValues(in, "token_headers", &a.TokenHeaders, maxTokenValues, credentialHeader, []rule{headerValue}, []rule{length(1, maxSecret), noControl, noEdgeSpace})
	a.checkValues(in)
	in.object("token_in", func(o *object) { a.readTokenIn(o) })
	if in.null("token_in") {
		in.known["token_in"], a.TokenIn = true, nil
	}
	if a.DPoP && a.TokenIn != nil {
		in.problem("dpop", "not_allowed", "sends the token as RFC 9449 has it, so token_in must be absent")
	}
}

// checkValues refuses secrets that are given as texts, which would be shown.
func (a *Auth) checkValues(in *object) {
	params, headers := newObject(in.pointer("token_params"), nil, in.problems), newObject(in.pointer("token_headers"), nil, in.problems)
	for name, value := range a.TokenParams {
		if value != nil && slices.Contains(secretParams, strings.ToLower(name)) {
			params.problem(name, "secret_in_clear", `is a secret: give it as {"value": "…"}, so that it is never shown`)
		}
	}
	for name, value := range a.TokenHeaders {
		if value != nil && headerAlike(name) == "Authorization" {
			headers.problem(name, "secret_in_clear", `is a secret: give it as {"value": "…"}, so that it is never shown`)
		}
	}
}

func paramName(s string) (string, string) {
	if code, detail := length(1, 128)(s); code != "" {
		return code, detail
	}
	return noControl(s)
}

// readTokenIn reads where the token goes.
func (a *Auth) readTokenIn(in *object) {
	next := TokenIn{Header: "Authorization", Format: "Bearer {token}"}
	if a.TokenIn != nil {
		next = *a.TokenIn
	}
	in.text("header", &next.Header, credentialHeader)
	in.text("format", &next.Format, length(1, 512), noControl, tokenFormat)
	in.nullableText("query", &next.Query, paramName)
	_, headerGiven := in.given("header")
	_, formatGiven := in.given("format")
	switch {
	case next.Query != "" && (headerGiven || formatGiven):
		in.problem("query", "not_allowed", "the token goes in the header or in the query, not in both")
	case next.Query != "":
		next.Header, next.Format = "", ""
	case next.Header == "":
		next.Header, next.Format = "Authorization", "Bearer {token}"
	case headerGiven && !formatGiven && (a.TokenIn == nil || a.TokenIn.Header != next.Header) && !strings.EqualFold(next.Header, "Authorization"):
		next.Format = "{token}"
	}
	in.done()
	a.TokenIn = &next
}

func tokenFormat(s string) (string, string) {
	if strings.Count(s, "{token}") != 1 {
		return "pattern", "must have {token} in it once"
	}
	return "", ""
}

// reservedClaims are the claims that the service sets.
var reservedClaims = []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti"}

// readClientAssertion reads how a client proves itself with an assertion.
func (a *Auth) readClientAssertion(in *object) {
	switch a.ClientAuthMethod {
	case "private_key_jwt":
		a.readAssertion(in, asymmetric...)
	case "client_secret_jwt":
		if a.AssertionAlgorithm == "" || slices.Contains(asymmetric, a.AssertionAlgorithm) {
			a.AssertionAlgorithm = "HS256"
		}
		a.readAssertion(in, symmetric...)
	default:
		a.dropAssertion(in)
	}
	if a.ClientAuthMethod == "tls" && a.ClientCertificate == "" {
		in.problem("client_certificate", "required", "is required, because client_auth_method is tls")
	}
}

func (a *Auth) dropAssertion(in *object) {
	for _, name := range []string{
		"assertion_audience", "assertion_kid", "assertion_algorithm", "assertion_lifetime_seconds", "assertion_claims", "assertion_certificate", "private_key_generate",
	} {
		in.refuseGiven(name, "only an auth that signs an assertion has this")
	}
	a.AssertionAudience, a.AssertionKID, a.AssertionAlgorithm, a.AssertionLifetimeSeconds = "", "", "", 0
	a.AssertionClaims, a.AssertionCertificate, a.PrivateKeyGenerate, a.SigningKeys = nil, "", "", nil
}

// readAssertion reads how assertions are made: with which of algorithms, and what they
// hold. Without an algorithm it is that of the key.
func (a *Auth) readAssertion(in *object, algorithms ...string) {
	short := length(1, 2048)
	in.nullableText("assertion_audience", &a.AssertionAudience, short, noControl)
	in.nullableText("assertion_kid", &a.AssertionKID, short, noControl)
	choice(in, "assertion_algorithm", &a.AssertionAlgorithm, algorithms...)
	if in.null("assertion_lifetime_seconds") {
		a.AssertionLifetimeSeconds = 0
	}
	in.integer("assertion_lifetime_seconds", &a.AssertionLifetimeSeconds, 30, 3600)
	a.readClaims(in)
	in.nullableText("assertion_certificate", &a.AssertionCertificate, length(1, 65_536), certificateChain)
	if slices.Contains(symmetric, a.AssertionAlgorithm) {
		in.refuseGiven("private_key_generate", "a shared secret is given, not generated")
		a.PrivateKeyGenerate = ""
		return
	}
	if in.null("private_key_generate") {
		a.PrivateKeyGenerate = ""
	}
	pairs := slices.DeleteFunc(slices.Clone(algorithms), func(name string) bool { return slices.Contains(symmetric, name) })
	choice(in, "private_key_generate", &a.PrivateKeyGenerate, pairs...)
	_, keyGiven := in.given(PrivateKeyField)
	_, generateGiven := in.given("private_key_generate")
	switch _, named := in.given("assertion_algorithm"); {
	case keyGiven && generateGiven:
		in.problem("private_key_generate", "not_allowed", "give private_key_value, or have a key generated, not both")
	case keyGiven:
		a.PrivateKeyGenerate = ""
		a.infer(in, algorithms)
	case a.PrivateKeyGenerate != "" && named && a.AssertionAlgorithm != a.PrivateKeyGenerate:
		in.problem("assertion_algorithm", "not_allowed", "is that of private_key_generate")
	case a.PrivateKeyGenerate != "":
		a.AssertionAlgorithm, a.AssertionKID = a.PrivateKeyGenerate, ""
		in.refuseGiven("assertion_kid", "a generated key is named by its thumbprint")
	}
}

// infer takes the algorithm from a key that is given without one.
func (a *Auth) infer(in *object, algorithms []string) {
	if _, named := in.given("assertion_algorithm"); named && a.AssertionAlgorithm != "" {
		return
	}
	text, _ := in.members[PrivateKeyField].(string)
	if wrapped, ok := in.members[PrivateKeyField].(map[string]any); ok {
		text, _ = wrapped["value"].(string)
	}
	key, err := ReadSigningKey("", text)
	if err != nil || checkSigns(a.AssertionAlgorithm, key.Signer) == nil && a.AssertionAlgorithm != "" {
		return // which readSecrets reports
	}
	if inferred, err := inferAlgorithm(key, algorithms); err == nil {
		a.AssertionAlgorithm = inferred
	}
}

// readClaims reads further claims of an assertion.
func (a *Auth) readClaims(in *object) {
	if in.null("assertion_claims") {
		in.known["assertion_claims"], a.AssertionClaims = true, nil
	}
	in.object("assertion_claims", func(o *object) {
		for _, name := range reservedClaims {
			if _, given := o.members[name]; given {
				o.problem(name, "not_allowed", "is a claim that the service sets")
			}
		}
		data, err := json.Marshal(plainNumbers(o.members))
		if err != nil || len(data) > 8192 {
			o.problem("", "too_long", "has more than 8192 bytes")
			return
		}
		a.AssertionClaims = data
	})
}

// readSecrets reads the secrets that are members of the auth itself.
func (a *Auth) readSecrets(in *object, given givenSecrets) {
	for _, use := range a.SecretUses() {
		if !strings.Contains(use.Field, ".") {
			given.read(in, use.Field, use.Field, a.secretRules(use)...)
		}
	}
	if a.Type != Basic {
		return
	}
	_, nameGiven := given[UsernameField]
	switch _, plainGiven := in.given("username"); {
	case nameGiven && plainGiven && a.Username != "":
		in.problem(UsernameField, "not_allowed", "give username, or username_value where it is a secret, not both")
	case nameGiven:
		a.Username = ""
	case plainGiven:
		given[UsernameField] = NewSecret("")
	}
}

// secretRules returns the rules for the value of a secret.
func (a *Auth) secretRules(use SecretUse) []rule {
	low := 1
	if use.Optional {
		low = 0 // an empty one removes it
	}
	switch use.Field {
	case UsernameField:
		return []rule{length(low, maxSecret), noControl, noEdgeSpace, noColon}
	case ClientKeyField:
		return []rule{length(1, maxSecret), keyOfCertificate(a.ClientCertificate)}
	case PrivateKeyField:
		rules := []rule{length(1, maxSecret), signingKey(a.keyAlgorithm())}
		if a.AssertionCertificate != "" {
			rules = append(rules, keyOfCertificate(a.AssertionCertificate))
		}
		return rules
	}
	switch a.Type {
	case APIKeyHeader:
		return []rule{length(low, maxSecret), noControl, noEdgeSpace, notFormatted(a.HeaderFormat)}
	case BearerToken:
		return []rule{length(low, maxSecret), noControl, noEdgeSpace, noScheme}
	case BearerTokenExchange:
		return []rule{length(low, maxSecret), noControl, noEdgeSpace, notFormatted(a.ExchangeSecretFormat)}
	case SignedJWT, HMAC, JWTBearer:
		return []rule{length(low, maxSecret), noEdgeSpace, encoded(a.SecretEncoding)}
	case AWSSigV4:
		return []rule{length(low, maxSecret), noControl, noEdgeSpace}
	case Basic, ClientCredentials, SMARTBackendServices, JSONTokenExchange, OAuth1, Digest, TLSCertificate, AuthorizationCode, TokenExchange:
	}
	return []rule{length(low, maxSecret), noEdgeSpace}
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
