// Package signin puts credentials on requests, and gets, keeps and renews the tokens
// that this takes.
//
// Its promise: a secret is opened last, for the destination that it was given for
// only, and every text that nothing may show is handed to the request.
package signin

import (
	"context"
	"net/url"
	"time"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/domain"
)

// Authenticator signs requests. It is safe for concurrent use.
type Authenticator struct {
	client *egress.Client
	tokens *tokens
	types  map[domain.AuthType]authenticate
}

// authenticate puts the credential of one type of auth on a request.
type authenticate func(context.Context, signing) (*Credential, *callerror.Error)

// New returns an Authenticator that gets its tokens through client.
func New(client *egress.Client, now func() time.Time) *Authenticator {
	t := newTokens(client, now)
	return &Authenticator{client: client, tokens: t, types: map[domain.AuthType]authenticate{
		domain.APIKeyHeader:         withAPIKey,
		domain.BearerToken:          withBearerToken,
		domain.Basic:                withPassword,
		domain.ClientCredentials:    t.authenticator(grant{request: requestWithSecret, read: readOAuth}),
		domain.SMARTBackendServices: t.authenticator(grant{request: requestSMART, read: readOAuth}),
		domain.JWTBearer:            t.authenticator(grant{request: requestJWTBearer, read: readOAuth}),
		domain.JSONTokenExchange:    t.authenticator(grant{request: requestInJSON, read: readInJSON}),
		domain.BearerTokenExchange:  t.authenticator(grant{request: requestExchange, read: readExchange}),
	}}
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
	ref := c.Auth.Secret()
	switch {
	case ref.ID == "" || c.Keyring == nil:
		return nil, callerror.Misconfigured("The secret %s of auth is not set.", c.Auth.SecretField())
	case !c.Integration.Builtin && !givenFor(ref, c.Request.URL.String(), false):
		return nil, callerror.Misconfigured("The secret %s was given for another destination; give it again for this one.", c.Auth.SecretField())
	}
	for _, endpoint := range []string{c.Auth.TokenURL, c.Auth.ExchangeURL} {
		if e := a.judgeTokenEndpoint(endpoint, c.Integration, ref); e != nil {
			return nil, e
		}
	}
	if e := addKnownSecrets(ctx, c, a.tokens.of(c.Integration), ref.ID); e != nil {
		return nil, e
	}
	secret, err := c.Keyring(ctx, ref)
	if err != nil {
		return nil, unopened(ctx, err)
	}
	return put(ctx, signing{Call: c, auth: *c.Auth, secret: secret})
}

// judgeTokenEndpoint returns the error of a token endpoint that the secret was not
// given for, or that is denied by its name. "" is none.
func (a *Authenticator) judgeTokenEndpoint(endpoint string, i domain.Integration, ref domain.SecretRef) *callerror.Error {
	if endpoint == "" {
		return nil
	}
	target, err := url.Parse(endpoint)
	switch {
	case err != nil || target.Host == "":
		return callerror.Misconfigured("The URL of the token endpoint can't be called.")
	case !i.Builtin && !givenFor(ref, endpoint, true):
		return callerror.Misconfigured("The secret %s was given for another token endpoint; give it again for this one.", ref.Field)
	}
	return ofTokenEndpoint(a.client.Judge(target))
}

func withAPIKey(_ context.Context, s signing) (*Credential, *callerror.Error) {
	if s.auth.QueryName != "" {
		s.Request.AddSecretQuery(s.auth.QueryName, s.secret.Reveal())
	} else {
		s.Request.SetSecretHeader(s.auth.HeaderName, s.secret.Reveal(), s.secret.Reveal())
	}
	return nil, nil
}

func withBearerToken(_ context.Context, s signing) (*Credential, *callerror.Error) {
	s.Request.SetSecretHeader("Authorization", "Bearer "+s.secret.Reveal(), s.secret.Reveal())
	return nil, nil
}

func withPassword(_ context.Context, s signing) (*Credential, *callerror.Error) {
	s.Request.SetBasicAuth(s.auth.Username, s.secret.Reveal())
	return nil, nil
}
