package connectors

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

// asking returns a request to a token endpoint.
func (t *tokens) asking(endpoint, media string, body []byte) (*outgoing, *fault) {
	target, err := url.Parse(endpoint)
	if err != nil || target.Host == "" {
		return nil, misconfigured("The URL of the token endpoint can't be called.")
	}
	out := &outgoing{method: http.MethodPost, url: target, body: body, most: mostGiven, header: http.Header{
		"User-Agent": {t.way.agent}, "Accept": {plainJSON},
	}}
	if media != "" {
		out.header.Set("Content-Type", media)
	}
	return out, nil
}

// askingForm is asking with a form (RFC 6749, 4.4.2).
func (t *tokens) askingForm(endpoint string, form url.Values) (*outgoing, *fault) {
	return t.asking(endpoint, "application/x-www-form-urlencoded", []byte(form.Encode()))
}

func scoped(a domain.Auth, form url.Values) url.Values {
	if len(a.Scopes) > 0 {
		form.Set("scope", strings.Join(a.Scopes, " "))
	}
	return form
}

// askWithSecret asks with client credentials (RFC 6749, 4.4). With basic, id
// and secret are form-encoded before they are joined (2.3.1). With
// both, the secret as it is encoded is one of its own: its base64 is another.
func askWithSecret(_ context.Context, t *tokens, s signing) (*outgoing, *fault) {
	a, secret := s.auth, s.secret.Reveal()
	form := scoped(a, url.Values{"grant_type": {"client_credentials"}})
	if a.ClientAuthMethod == "body" {
		form.Set("client_id", a.ClientID)
		form.Set("client_secret", secret)
		out, f := t.askingForm(a.TokenURL, form)
		if f == nil {
			out.secrets = append(out.secrets, url.QueryEscape(secret))
		}
		return out, f
	}
	out, f := t.askingForm(a.TokenURL, form)
	if f == nil {
		out.hideBasic(url.QueryEscape(a.ClientID), url.QueryEscape(secret))
	}
	return out, f
}

// askSMART asks as a SMART backend service: client credentials, proved by an
// assertion (RFC 7523, 2.2).
func askSMART(ctx context.Context, t *tokens, s signing) (*outgoing, *fault) {
	endpoint, f := t.endpoint(ctx, s)
	if f != nil {
		return nil, f
	}
	assertion, f := assertSMART(s.auth, s.secret, endpoint, t.way.now())
	if f != nil {
		return nil, f
	}
	return t.askingWith(assertion, endpoint, scoped(s.auth, url.Values{
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {assertion},
	}))
}

// askJWTBearer asks with an assertion for a grant (RFC 7523, 2.1).
func askJWTBearer(_ context.Context, t *tokens, s signing) (*outgoing, *fault) {
	assertion, f := assertBearer(s.auth, s.secret, t.way.now())
	if f != nil {
		return nil, f
	}
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}}
	if !s.auth.AssertionScopesInJWT {
		form = scoped(s.auth, form)
	}
	return t.askingWith(assertion, s.auth.TokenURL, form)
}

func (t *tokens) askingWith(assertion, endpoint string, form url.Values) (*outgoing, *fault) {
	out, f := t.askingForm(endpoint, form)
	if f == nil {
		out.asserts = true
		out.secrets = append(out.secrets, assertion)
	}
	return out, f
}

// askInJSON posts id and secret as members of a JSON object.
func askInJSON(_ context.Context, t *tokens, s signing) (*outgoing, *fault) {
	secret := s.secret.Reveal()
	body, err := jsonvalue.Compact(map[string]string{
		s.auth.TokenRequestClientIDField: s.auth.ClientID, s.auth.TokenRequestClientSecretField: secret,
	})
	if err != nil {
		return nil, misconfigured("The request for a token can't be written as JSON.")
	}
	out, f := t.asking(s.auth.TokenURL, plainJSON, []byte(body))
	if f == nil {
		out.secrets = append(out.secrets, scrub.JSONForms(secret)...) // whose base64 is another
	}
	return out, f
}

func readInJSON(a domain.Auth, said map[string]any) (minted, *fault) {
	text, f := picked("token_response_path", a.TokenResponsePath, said)
	found, _ := text.(string)
	return minted{found, lifetime(said["expires_in"], usualLifetime)}, f
}

// picked returns what is at a place of a token endpoint's answer. An event of
// before places were held to be paths may have an expression instead, which could
// compute on the answer: it is not evaluated.
func picked(field, place string, said map[string]any) (any, *fault) {
	path, err := domain.ParsePlace(place)
	if err != nil {
		return nil, misconfigured("%s is an expression; it must be a path of members and indexes, such as data.tokens[0]. Change it, and give the secret again.", field)
	}
	return path.In(said), nil
}
