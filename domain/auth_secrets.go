package domain

import (
	"maps"
	"slices"
	"strings"
)

// The fields of secrets that more than one type has.
const (
	PrivateKeyField   = "private_key_value" // of the types that authenticate with a private key
	ClientSecretField = "client_secret_value"
	ClientKeyField    = "client_key_value" // the private key of client_certificate
	UsernameField     = "username_value"
	PasswordField     = "password_value"
	SharedSecretField = "shared_secret_value"
	SessionTokenField = "session_token_value"
	TokenSecretField  = "token_secret_value"
)

// secretField names the main secret of each type.
var secretField = map[AuthType]string{ //nolint:gosec // names of fields
	APIKeyHeader:         "api_key_value",
	BearerToken:          "bearer_token_value",
	Basic:                PasswordField,
	ClientCredentials:    ClientSecretField,
	SMARTBackendServices: PrivateKeyField,
	JWTBearer:            PrivateKeyField,
	JSONTokenExchange:    ClientSecretField,
	BearerTokenExchange:  "exchange_secret_value",
	SignedJWT:            PrivateKeyField,
	AWSSigV4:             "secret_access_key_value",
	OAuth1:               "consumer_secret_value",
	Digest:               PasswordField,
	HMAC:                 SharedSecretField,
	TLSCertificate:       "",
	AuthorizationCode:    ClientSecretField,
	TokenExchange:        ClientSecretField,
}

// impliedTypes maps a lone secret to the type it implies when no type is given.
var impliedTypes = map[string]AuthType{
	"api_key_value":      APIKeyHeader,
	"bearer_token_value": BearerToken,
	ClientSecretField:    ClientCredentials,
	PrivateKeyField:      SMARTBackendServices,
}

// SecretField names the field that holds the main secret, "" when there is none.
func (a Auth) SecretField() string {
	switch {
	case a.provesClient() && a.ClientAuthMethod == "private_key_jwt":
		return PrivateKeyField
	case a.provesClient() && (a.ClientAuthMethod == "none" || a.ClientAuthMethod == "tls"):
		return ""
	case a.Type == BearerTokenExchange && a.AssertionAlgorithm != "":
		return PrivateKeyField
	case (a.Type == SignedJWT || a.Type == JWTBearer) && slices.Contains(symmetric, a.AssertionAlgorithm):
		return SharedSecretField
	case a.Type == HMAC && a.Signature != nil && !strings.HasPrefix(a.Signature.Algorithm, "hmac-"):
		return PrivateKeyField
	}
	return secretField[a.Type]
}

// Secret returns the reference of the main secret.
func (a Auth) Secret() SecretRef { return a.Secrets[a.SecretField()] }

// A SecretUse is one secret of an auth, and where it is used.
type SecretUse struct {
	Field    string // its key in Auth.Secrets, such as api_key_value or token_params.password
	Optional bool
	Call     bool // calls carry it, or a token that is issued for it
	Token    bool // the requests for a token carry it
	Resource bool // the requests to the authorization server of the resource carry it
}

// IsSentSecret reports whether requests carry the secret of a field of an auth. A private key
// is none: it signs.
func IsSentSecret(field string) bool { return field != PrivateKeyField && field != ClientKeyField }

// SecretUses returns the secrets that an auth has or may have, the main one first. One
// that the service generates is not among them.
func (a Auth) SecretUses() []SecretUse {
	var uses []SecretUse
	if field := a.SecretField(); field != "" && (field != PrivateKeyField || a.PrivateKeyGenerate == "") {
		uses = append(uses, SecretUse{Field: field, Call: true, Token: a.UsesToken(), Optional: a.Type == Basic || a.Type == AuthorizationCode})
	}
	if a.Type == Basic {
		uses = append(uses, SecretUse{Field: UsernameField, Call: true, Optional: true})
	}
	switch a.Type {
	case AWSSigV4:
		uses = append(uses, SecretUse{Field: SessionTokenField, Call: true, Optional: true})
	case OAuth1:
		uses = append(uses, SecretUse{Field: TokenSecretField, Call: true, Optional: true})
	case TokenExchange:
		uses = append(uses, a.exchangeUses()...)
	default:
	}
	if a.ClientCertificate != "" {
		uses = append(uses, SecretUse{Field: ClientKeyField, Call: true, Token: a.UsesToken()})
	}
	for _, group := range []struct {
		name   string
		values map[string]*string
	}{{"token_params", a.TokenParams}, {"token_headers", a.TokenHeaders}} {
		for _, name := range slices.Sorted(maps.Keys(group.values)) {
			if group.values[name] == nil {
				uses = append(uses, SecretUse{Field: group.name + "." + name, Token: true})
			}
		}
	}
	return uses
}

// provesClient reports whether the client of a proves itself by client_auth_method, at a
// token endpoint that may be discovered.
func (a Auth) provesClient() bool { return a.Type == ClientCredentials || a.Type == TokenExchange }

// DiscoversTokenEndpoint reports whether the token endpoint of a client is named by an
// authorization server.
func (a Auth) DiscoversTokenEndpoint() bool { return a.provesClient() && a.TokenURL == "" }

// exchangeUses returns the secrets that TokenExchange has beside that of its client.
func (a Auth) exchangeUses() []SecretUse {
	uses := []SecretUse{
		{Field: SubjectTokenField, Call: true, Token: true},
		{Field: ActorTokenField, Call: true, Token: true, Optional: true},
	}
	if a.AssertsIdentity() && a.ResourceClientAuthMethod != "none" {
		uses = append(uses, SecretUse{Field: ResourceSecretField, Call: true, Resource: true})
	}
	return uses
}

// MissingSecret names a secret that is needed and not set, "" for none.
func (a Auth) MissingSecret() string {
	for _, use := range a.SecretUses() {
		if !use.Optional && a.Secrets[use.Field].ID == "" {
			return use.Field
		}
	}
	if a.Type == Basic && a.Username == "" && len(a.Secrets) == 0 {
		return PasswordField
	}
	return ""
}

// pointerOf returns the JSON pointer of a secret below its auth.
func pointerOf(field string) string {
	group, name, inGroup := strings.Cut(field, ".")
	if !inGroup {
		return "/" + EscapePointer(field)
	}
	return "/" + group + "/" + EscapePointer(name)
}

// givenSecrets are the secrets of a request, by field. An empty one removes the secret.
type givenSecrets map[string]Secret

// read reads a secret, given as "…" or as {"value": "…"}. No problem it reports
// contains the value.
func (g givenSecrets) read(in *object, field, name string, rules ...rule) {
	v, given := in.given(name)
	if !given {
		return
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
		return
	}
	if place.check(name, text, rules...) {
		g[field] = NewSecret(text)
	}
}

// readValues reads an object of texts and secrets, which replaces the present one. A
// secret is given as {"value": "…"}; null keeps a present value.
func (g givenSecrets) readValues(in *object, group string, into *map[string]*string, limit int, name rule, plain, secret []rule) {
	if in.null(group) {
		in.known[group] = true
		*into = nil
		return
	}
	in.object(group, func(o *object) {
		present := *into
		*into = map[string]*string{}
		if len(o.members) > limit {
			o.problem("", "too_many", "has %d members; at most %d are allowed", len(o.members), limit)
			return
		}
		o.each(func(member string) {
			o.known[member] = true
			if !o.check(member, member, name) {
				return
			}
			field := group + "." + member
			switch v := o.members[member].(type) {
			case nil:
				kept, had := present[member]
				if (*into)[member] = kept; !had {
					o.problem(member, "required", `must be a text, or a secret like {"value": "…"}`)
				}
			case string:
				if o.check(member, v, plain...) {
					(*into)[member] = &v
				}
			default:
				(*into)[member] = nil
				g.read(o, field, member, secret...)
			}
		})
	})
}

// noEdgeSpace is the rule that a secret neither begins nor ends with white space:
// HTTP strips it, so the value sent would differ from the value given.
func noEdgeSpace(s string) (string, string) {
	if strings.TrimSpace(s) != s {
		return "pattern", "must not begin or end with white space"
	}
	return "", ""
}

// noScheme is the rule that a token is given without the scheme that is put before it.
func noScheme(s string) (string, string) {
	if scheme, _, more := strings.Cut(s, " "); more && strings.EqualFold(scheme, "bearer") {
		return "pattern", "must be the token alone: the word Bearer is put before it"
	}
	return "", ""
}

// notFormatted is the rule that a secret is given without what its format adds.
func notFormatted(format string) rule {
	before, _, _ := strings.Cut(format, "{secret}")
	return func(s string) (string, string) {
		if before != "" && len(s) > len(before) && strings.EqualFold(s[:len(before)], before) {
			return "pattern", "must be the key alone: header_format puts the rest before it"
		}
		return "", ""
	}
}

// Bounds of what a request gives.
const (
	maxHeaders = 50
	maxSecret  = 8192 // characters
)
