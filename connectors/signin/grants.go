package signin

import (
	"context"
	"net/url"
	"strings"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

func withScopes(a domain.Auth, form url.Values) url.Values {
	if len(a.Scopes) > 0 {
		form.Set("scope", strings.Join(a.Scopes, " "))
	}
	return form
}

// requestWithSecret uses client credentials (RFC 6749, 4.4). With basic, id and secret
// are form-encoded before they are joined (2.3.1). With both, the encoded secret is
// one of its own: its base64 is another.
func requestWithSecret(_ context.Context, i *issuer, s signing) (tokenRequest, *callerror.Error) {
	a, secret := s.auth, s.secret.Reveal()
	form := withScopes(a, url.Values{"grant_type": {"client_credentials"}})
	inBody := a.ClientAuthMethod == "body"
	if inBody {
		form.Set("client_id", a.ClientID)
		form.Set("client_secret", secret)
	}
	r, e := newFormRequest(i.client.UserAgent, a.TokenURL, form)
	switch {
	case e != nil:
		return r, e
	case inBody:
		r.AddSecrets(url.QueryEscape(secret))
	default:
		r.SetBasicAuth(url.QueryEscape(a.ClientID), url.QueryEscape(secret))
	}
	return r, nil
}

// requestSMART is the request of a SMART backend service: client credentials, proved by
// an assertion (RFC 7523, 2.2).
func requestSMART(ctx context.Context, i *issuer, s signing) (tokenRequest, *callerror.Error) {
	endpoint, e := i.endpoint(ctx, s)
	if e != nil {
		return tokenRequest{}, e
	}
	assertion, e := smartAssertion(s.auth, s.secret, endpoint, i.now())
	if e != nil {
		return tokenRequest{}, e
	}
	return newAssertionRequest(i.client.UserAgent, endpoint, assertion, withScopes(s.auth, url.Values{
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {assertion},
	}))
}

// requestJWTBearer exchanges an assertion for a token (RFC 7523, 2.1).
func requestJWTBearer(_ context.Context, i *issuer, s signing) (tokenRequest, *callerror.Error) {
	assertion, e := bearerAssertion(s.auth, s.secret, i.now())
	if e != nil {
		return tokenRequest{}, e
	}
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}}
	if !s.auth.AssertionScopesInJWT {
		form = withScopes(s.auth, form)
	}
	return newAssertionRequest(i.client.UserAgent, s.auth.TokenURL, assertion, form)
}

// requestInJSON sends id and secret as members of a JSON object.
func requestInJSON(_ context.Context, i *issuer, s signing) (tokenRequest, *callerror.Error) {
	secret := s.secret.Reveal()
	body, err := jsonvalue.Compact(map[string]string{
		s.auth.TokenRequestClientIDField: s.auth.ClientID, s.auth.TokenRequestClientSecretField: secret,
	})
	if err != nil {
		return tokenRequest{}, callerror.Misconfigured("The request for a token can't be written as JSON.")
	}
	r, e := newTokenRequest(i.client.UserAgent, s.auth.TokenURL, jsonMedia, []byte(body))
	if e == nil {
		r.AddSecrets(scrub.JSONForms(secret)...) // whose base64 is another
	}
	return r, e
}
