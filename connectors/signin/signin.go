// Package signin puts credentials on requests, and gets, keeps and renews the tokens
// that this takes.
//
// Its promise: a secret is opened last, for the destination that it was given for
// only, and every text that nothing may show is handed to the request.
package signin

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/domain"
)

// Authenticator signs requests. It is safe for concurrent use.
type Authenticator struct {
	client *egress.Client
	now    func() time.Time
	tokens *tokens
	types  map[domain.AuthType]authenticate
}

// New returns an Authenticator that gets its tokens through client.
// Where secrets go that an upstream names a place for is kept in pins; without any it is
// kept in memory.
func New(client *egress.Client, pins Pins, now func() time.Time) *Authenticator {
	t := newTokens(client, pins, now)
	a := &Authenticator{client: client, now: now, tokens: t}
	a.types = map[domain.AuthType]authenticate{
		domain.APIKeyHeader:         withAPIKey,
		domain.BearerToken:          withBearerToken,
		domain.Basic:                withPassword,
		domain.ClientCredentials:    t.authenticator(grant{request: requestWithClient, read: readOAuth}),
		domain.SMARTBackendServices: t.authenticator(grant{request: requestSMART, read: readOAuth}),
		domain.JWTBearer:            t.authenticator(grant{request: requestJWTBearer, read: readOAuth}),
		domain.JSONTokenExchange:    t.authenticator(grant{request: requestInJSON, read: readInJSON}),
		domain.TokenExchange:        t.authenticator(grant{request: requestTokenExchange, read: readOAuth}),
		domain.BearerTokenExchange:  t.authenticator(grant{request: requestExchange, read: readExchange}),
		domain.SignedJWT:            withSignedJWT(now),
		domain.AWSSigV4:             withSigV4(now),
		domain.OAuth1:               withOAuth1(now),
		domain.Digest:               newDigests().authenticate,
		domain.HMAC:                 withSignature(now),
		domain.AuthorizationCode:    a.withConsent,
		domain.TLSCertificate:       func(context.Context, signing) (*Credential, *callerror.Error) { return nil, nil },
	}
	return a
}

// Authenticate opens the secret of c.Auth at the last moment and signs c.Request with
// it. It hands the request every other secret of the integration that the upstream may
// know. Without auth there is no credential, which is no error.
func (a *Authenticator) Authenticate(ctx context.Context, c Call) (*Credential, *callerror.Error) {
	if c.Auth == nil {
		return nil, addKnownSecrets(ctx, c, a.tokens.of(c.Integration))
	}
	put, known := a.types[c.Auth.Type]
	if !known {
		return nil, callerror.Misconfigured("The way to sign in called %q is not known here.", c.Auth.Type)
	}
	auth, refs := secretsOf(*c.Auth, a.now())
	missing := auth.MissingSecret()
	if missing == "" && c.Keyring == nil && len(refs) > 0 {
		missing = refs[0].use.Field
	}
	if missing != "" {
		return nil, callerror.Misconfigured("The secret %s of auth is not set.", missing)
	}
	opened := make([]string, len(refs))
	for n, one := range refs {
		opened[n] = one.ref.ID
		if e := a.judge(c, auth, one); e != nil {
			return nil, e
		}
	}
	if e := a.judgeTokenEndpoints(c, auth, nil); e != nil {
		return nil, e
	}
	if e := addKnownSecrets(ctx, c, a.tokens.of(c.Integration), opened...); e != nil {
		return nil, e
	}
	s := signing{Call: c, auth: auth, refs: refs, secrets: map[string]domain.Secret{}}
	for _, one := range refs {
		secret, err := c.Keyring(ctx, one.ref)
		if err != nil {
			return nil, unopened(ctx, err)
		}
		s.secrets[one.use.Field] = secret
		if domain.IsSentSecret(one.use.Field) {
			c.Request.AddSecrets(secret.Reveal())
		}
	}
	s.secret = s.secrets[auth.SecretField()]
	if e := s.present(); e != nil {
		return nil, e
	}
	return put(ctx, s)
}

// secretsOf returns the secrets of an auth that are set. A generated key that signs now is
// among them, with its algorithm and its id in the auth.
func secretsOf(a domain.Auth, now time.Time) (domain.Auth, []usedSecret) {
	var all []usedSecret
	if key, ok := a.SigningKey(now); ok {
		a.AssertionAlgorithm, a.AssertionKID = key.Algorithm, key.ID
		all = append(all, usedSecret{domain.SecretUse{Field: domain.PrivateKeyField, Call: true, Token: a.UsesToken()}, key.PrivateKey, true})
	}
	for _, use := range a.SecretUses() {
		if ref := a.Secrets[use.Field]; ref.ID != "" {
			all = append(all, usedSecret{use: use, ref: ref})
		}
	}
	return a, all
}

// judge returns the error of a secret that was not given for where it would go.
func (a *Authenticator) judge(c Call, auth domain.Auth, one usedSecret) *callerror.Error {
	if one.use.Call && !c.Integration.Builtin && !givenFor(one.ref, c.Request.URL.String(), false) {
		return callerror.Misconfigured("The secret %s was given for another destination; give it again for this one.", one.use.Field)
	}
	if one.use.Resource {
		return a.judgeTokenEndpoint(resourcePlace(auth).given(c.Integration.MCPURL), c.Integration, &one.ref)
	}
	if !one.use.Token {
		return nil
	}
	return a.judgeTokenEndpoints(c, auth, &one.ref)
}

// judgeTokenEndpoints returns the error of a token endpoint that the secret was not given
// for, or that is denied by its name. Without a secret, only its name is judged.
func (a *Authenticator) judgeTokenEndpoints(c Call, auth domain.Auth, ref *domain.SecretRef) *callerror.Error {
	endpoints := []string{auth.TokenURL, auth.ExchangeURL}
	if auth.DiscoversTokenEndpoint() {
		endpoints = []string{tokenPlace(auth).given(c.Integration.MCPURL)}
	}
	for _, endpoint := range endpoints {
		if e := a.judgeTokenEndpoint(endpoint, c.Integration, ref); e != nil {
			return e
		}
	}
	return nil
}

// judgeTokenEndpoint returns the error of a token endpoint that the secret was not
// given for, or that is denied by its name. "" is none.
func (a *Authenticator) judgeTokenEndpoint(endpoint string, i domain.Integration, ref *domain.SecretRef) *callerror.Error {
	if endpoint == "" || domain.HasAccountHost(endpoint) { // which is filled, and judged, when it is called
		return nil
	}
	target, err := url.Parse(endpoint)
	switch {
	case err != nil || target.Host == "":
		return callerror.Misconfigured("The URL of the token endpoint can't be called.")
	case ref != nil && !i.Builtin && !givenFor(*ref, endpoint, true):
		return callerror.Misconfigured("The secret %s was given for another token endpoint; give it again for this one.", ref.Field)
	}
	return ofTokenEndpoint(a.client.Judge(target))
}

func withAPIKey(_ context.Context, s signing) (*Credential, *callerror.Error) {
	secret := s.secret.Reveal()
	if s.auth.QueryName != "" {
		s.Request.SetSecretQuery(s.auth.QueryName, secret)
		return nil, nil
	}
	value := secret
	if s.auth.HeaderFormat != "" {
		value = strings.ReplaceAll(s.auth.HeaderFormat, "{secret}", secret)
	}
	s.Request.SetSecretHeader(s.auth.HeaderName, value, secret, value)
	return nil, nil
}

func withBearerToken(_ context.Context, s signing) (*Credential, *callerror.Error) {
	s.Request.SetSecretHeader("Authorization", "Bearer "+s.secret.Reveal(), s.secret.Reveal())
	return nil, nil
}

// withPassword signs with a user name and a password, each of which may be empty, and
// each of which may be the secret (RFC 7617).
func withPassword(_ context.Context, s signing) (*Credential, *callerror.Error) {
	name := s.auth.Username
	if secret, ok := s.secrets[domain.UsernameField]; ok {
		name = secret.Reveal()
	}
	s.Request.SetBasicAuth(name, s.secret.Reveal())
	return nil, nil
}
