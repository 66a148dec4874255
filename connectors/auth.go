package connectors

import (
	"context"
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

// A signing is a request that is about to be signed, and what with.
type signing struct {
	integration domain.Integration
	auth        domain.Auth
	secret      domain.Secret
	out         *outgoing
}

// A signer puts the credential of one way to sign in onto a request. It hands
// every text that must not be shown to the request.
type signer func(context.Context, signing) *fault

// signers returns the ways to sign in. Another one is a line in this table and,
// where it needs a token, a grant.
func signers(t *tokens) map[domain.AuthType]signer {
	return map[domain.AuthType]signer{
		domain.APIKeyHeader:         signAPIKey,
		domain.BearerToken:          signBearer,
		domain.Basic:                signBasic,
		domain.ClientCredentials:    t.signer(grant{ask: askWithSecret, read: readOAuth}),
		domain.SMARTBackendServices: t.signer(grant{ask: askSMART, read: readOAuth}),
		domain.JWTBearer:            t.signer(grant{ask: askJWTBearer, read: readOAuth}),
		domain.JSONTokenExchange:    t.signer(grant{ask: askInJSON, read: readInJSON}),
		domain.BearerTokenExchange:  t.signer(grant{ask: askExchange, read: readExchange}),
	}
}

func signAPIKey(_ context.Context, s signing) *fault {
	if s.auth.QueryName != "" {
		s.out.hideQuery(s.auth.QueryName, s.secret.Reveal())
		return nil
	}
	s.out.hideHeader(s.auth.HeaderName, s.secret.Reveal(), s.secret.Reveal())
	return nil
}

func signBearer(_ context.Context, s signing) *fault {
	s.out.hideHeader("Authorization", "Bearer "+s.secret.Reveal(), s.secret.Reveal())
	return nil
}

// signBasic follows RFC 7617. The pair is a secret of its own, because its
// base64 is not that of the password.
func signBasic(_ context.Context, s signing) *fault {
	s.out.hideBasic(s.auth.Username, s.secret.Reveal())
	return nil
}

func (o *outgoing) hideBasic(name, password string) {
	pair := name + ":" + password
	o.hideHeader("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)), password, pair)
}

// sign opens the secret of a at the last moment and signs out with it. No auth
// is no credential, which is no fault.
func (o *outbound) sign(ctx context.Context, i domain.Integration, a *domain.Auth, open domain.Keyring, out *outgoing) *fault {
	if a == nil {
		return o.learn(ctx, i, nil, open, out)
	}
	put, known := o.signers[a.Type]
	if !known {
		return misconfigured("The way to sign in called %q is not known here.", a.Type)
	}
	ref := a.Secret()
	switch {
	case ref.ID == "" || open == nil:
		return misconfigured("The secret %s of auth is not set.", a.SecretField())
	case !i.Builtin && !isFor(ref, out.url.String(), false):
		return misconfigured("The secret %s was given for another destination; give it again for this one.", a.SecretField())
	}
	for _, endpoint := range []string{a.TokenURL, a.ExchangeURL} {
		if f := o.mayAsk(endpoint, i, ref); f != nil {
			return f
		}
	}
	if f := o.learn(ctx, i, a, open, out, ref.ID); f != nil {
		return f
	}
	secret, err := open(ctx, ref)
	if err != nil {
		return unopened(ctx, err)
	}
	return put(ctx, signing{integration: i, auth: *a, secret: secret, out: out})
}

// mayAsk is the fault of a token endpoint that the secret was not given for, or
// that is denied by its name. "" is none.
func (o *outbound) mayAsk(endpoint string, i domain.Integration, ref domain.SecretRef) *fault {
	if endpoint == "" {
		return nil
	}
	target, err := url.Parse(endpoint)
	switch {
	case err != nil || target.Host == "":
		return misconfigured("The URL of the token endpoint can't be called.")
	case !i.Builtin && !isFor(ref, endpoint, true):
		return misconfigured("The secret %s was given for another token endpoint; give it again for this one.", ref.Field)
	}
	return ofTokenEndpoint(o.judge(&outgoing{url: target}))
}

// isFor reports whether a secret was given for the origin of target: itself, or
// a token that is minted with it.
func isFor(ref domain.SecretRef, target string, itself bool) bool {
	origin := domain.Origin(target)
	return origin != "" && slices.ContainsFunc(ref.Destinations, func(d string) bool {
		givenFor, place, _ := strings.Cut(d, " ")
		return givenFor == origin && (!itself || place != domain.TokenPlace)
	})
}

// unopened is the fault of a secret that the keyring did not open.
func unopened(ctx context.Context, err error) *fault {
	if ctx.Err() != nil {
		return &fault{code: domain.CallTimeout, sentence: "The secret was not opened in time.", unsent: true}
	}
	var ours *domain.Error
	if errors.As(err, &ours) {
		return misconfigured("%s.", strings.TrimRight(ours.Message, "."))
	}
	return misconfigured("The secret could not be opened.")
}
