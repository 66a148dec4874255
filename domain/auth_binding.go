package domain

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// TokenPlace marks a destination that receives a token, never the secret that the token
// was issued for. Where the token goes in a request may follow it.
const TokenPlace = "token"

// IsTokenPlace reports whether the place of a destination receives only a token.
func IsTokenPlace(place string) bool {
	return place == TokenPlace || strings.HasPrefix(place, TokenPlace+" ")
}

// destinationsOf returns where the secret of a use goes, and where a token that is
// issued for it goes, when calls go to the given base URLs. The auth may be nil.
func (a *Auth) destinationsOf(use SecretUse, baseURLs ...string) []string {
	if a == nil {
		return nil
	}
	set := map[string]bool{}
	add := func(urls []string, place string) {
		for _, u := range urls {
			if o := Origin(u); o != "" {
				set[o+" "+place] = true
			}
		}
	}
	tokenURLs := a.tokenURLs(baseURLs)
	place, called := a.place(), a.place()
	switch {
	case use.Field == SubjectTokenField || use.Field == ActorTokenField:
		place, called = use.Field, TokenPlace+a.TokenIn.place()
	case use.Resource:
		called = TokenPlace + a.TokenIn.place()
		add(a.resourceURLs(baseURLs), "client_secret_"+a.ResourceClientAuthMethod+a.exchangeBinding())
	case use.Field == ClientKeyField:
		place = "client certificate " + fingerprint(a.ClientCertificate)
		called = place
	case !use.Call:
		place = use.Field + a.tokenFormat()
	case a.UsesToken():
		called = TokenPlace + a.TokenIn.place()
	}
	if use.Call {
		add(baseURLs, called)
	}
	if use.Token {
		add(tokenURLs, place)
		if more := a.tokenBinding(); more != "" && use.Call && use.Field != ClientKeyField {
			add(tokenURLs, more)
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// tokenURLs returns where tokens are requested: a server that names its token endpoint
// is one itself.
func (a *Auth) tokenURLs(baseURLs []string) []string {
	switch {
	case a.TokenURL == "" && a.Issuer != "" && (a.Type == AuthorizationCode || a.provesClient()):
		return []string{a.Issuer}
	case a.TokenURL == "" && (a.Type == SMARTBackendServices || a.Type == AuthorizationCode || a.provesClient()):
		return baseURLs
	}
	return a.allPatterns([]string{a.TokenURL, a.ExchangeURL})
}

// resourceURLs returns where an ID-JAG is used: a server that names its token endpoint is
// one itself.
func (a *Auth) resourceURLs(baseURLs []string) []string {
	if at := cmp.Or(a.ResourceTokenURL, a.ResourceIssuer); at != "" {
		return []string{at}
	}
	return baseURLs
}

// exchangeBinding returns what the secrets of an exchange are bound to beside where they
// go: who asks, and for what.
func (a *Auth) exchangeBinding() string {
	return fmt.Sprintf(" as %q exchanges %q for %q", a.ClientID, a.SubjectType(), digest([]string{
		a.ActorTokenType, a.RequestedTokenType, a.Audience, a.Resource, a.ResourceTokenURL, a.ResourceIssuer, a.ResourceClientID,
	}))
}

// tokenBinding returns what else a secret is bound to at a token endpoint: the path of
// the token in the response, so that no other part of it can be read, the identity that
// an assertion claims and whom it is for, and what else is sent. It returns "" for none.
func (a *Auth) tokenBinding() string {
	var binding string
	switch a.Type {
	case JSONTokenExchange:
		binding = fmt.Sprintf("reads %q", a.TokenResponsePath)
	case BearerTokenExchange:
		binding = fmt.Sprintf("reads %q and %q", a.ExchangeTokenField, a.ExchangeExpiresInField)
	case SMARTBackendServices:
		binding = fmt.Sprintf("as %q", a.ClientID)
	case AuthorizationCode:
		binding = fmt.Sprintf("as %q at %q reads %q", a.ClientID, a.AuthorizationURL, a.Places())
		if capture := a.captureBinding(); capture != "" {
			binding += " captures " + capture
		}
	case JWTBearer:
		binding = fmt.Sprintf("as %q for %q", a.AssertionIssuer, a.AssertionSubject)
	default:
	}
	if a.Type == BearerTokenExchange && a.SecretField() == PrivateKeyField {
		binding += fmt.Sprintf(" as %q for %q", a.AssertionIssuer, a.AssertionSubject)
	}
	if a.provesClient() && a.AssertionAlgorithm != "" {
		binding = fmt.Sprintf("as %q", a.ClientID)
	}
	if a.Type == TokenExchange {
		binding += a.exchangeBinding()
	}
	if a.AssertionAudience != "" {
		binding += fmt.Sprintf(" to %q", a.AssertionAudience)
	}
	if len(a.AssertionClaims) > 0 {
		binding += " claims " + digest(a.AssertionClaims)
	}
	binding += a.encoding()
	var passed []string
	for _, p := range a.ExchangeParamHeaders {
		passed = append(passed, strings.ToLower(p.HeaderName))
	}
	if slices.Sort(passed); len(passed) > 0 {
		binding += fmt.Sprintf(" passing %q", passed)
	}
	return strings.TrimSpace(binding + a.tokenFormat())
}

// tokenFormat returns what is sent with a token request beside its secret, and how: what
// would make it a request for somebody else's token. It returns "" for the defaults.
func (a *Auth) tokenFormat() string {
	var format string
	if a.TokenAnswer == "text" {
		format += " reads the text"
	}
	if a.TokenMethod != "" || a.TokenRequest != "" {
		format += " by " + strings.TrimSpace(a.TokenMethod+" "+a.TokenRequest)
	}
	if len(a.TokenParams) > 0 {
		format += " params " + digest(a.TokenParams)
	}
	if len(a.TokenHeaders) > 0 {
		format += " headers " + digest(a.TokenHeaders)
	}
	return format
}

// encoding returns how a shared secret is decoded: whether that succeeds shows which
// characters the secret has.
func (a *Auth) encoding() string {
	if a.SecretEncoding == "" {
		return ""
	}
	return " in " + a.SecretEncoding
}

// captureBinding returns what a grant and a secret are bound to of what is captured, "" for
// nothing: another call to ask who signed in would get the token, and another capture is a
// value that no consent has given.
func (c Consent) captureBinding() string {
	if len(c.Capture) == 0 && c.IdentityCall == nil && c.CallbackHMAC == "" {
		return ""
	}
	return digest([]any{c.Capture, c.IdentityCall, c.CallbackHMAC})
}

// digest returns a short hash of plain data that is public.
func digest(v any) string {
	data, _ := json.Marshal(v) // plain data, which always encodes
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:12])
}

func fingerprint(certificate string) string {
	sum := sha256.Sum256([]byte(certificate))
	return hex.EncodeToString(sum[:12])
}

// place returns where in a request the secret of a goes.
func (a Auth) place() string {
	switch a.Type {
	case APIKeyHeader:
		if a.QueryName != "" {
			return "query " + a.QueryName
		}
		return strings.TrimSpace("header " + strings.ToLower(a.HeaderName) + " " + a.HeaderFormat)
	case ClientCredentials, AuthorizationCode, TokenExchange:
		return "client_secret_" + a.ClientAuthMethod
	case JSONTokenExchange:
		return "member " + a.TokenRequestClientSecretField
	case BearerTokenExchange:
		return "header " + strings.ToLower(a.ExchangeSecretHeader) + " " + a.ExchangeSecretFormat
	case SignedJWT:
		return fmt.Sprintf("signed_jwt%s as %q for %q to %q claims %s", a.TokenIn.place(), a.AssertionIssuer, a.AssertionSubject, a.AssertionAudience, digest(a.AssertionClaims)) + a.encoding()
	case AWSSigV4:
		return fmt.Sprintf("aws_sigv4 %q %q %q", a.AccessKeyID, a.Region, a.Service)
	case OAuth1:
		return fmt.Sprintf("oauth1 %s %q %q", a.SignatureMethod, a.ConsumerKey, a.Token)
	case HMAC:
		return "hmac " + digest(a.Signature) + a.encoding()
	case BearerToken, Basic, Digest, SMARTBackendServices, JWTBearer, TLSCertificate:
	}
	return string(a.Type)
}

// covers reports whether givenFor contains every wanted destination.
func covers(givenFor, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(d string) bool { return !slices.Contains(givenFor, d) })
}
