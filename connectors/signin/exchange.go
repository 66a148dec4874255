package signin

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

// ExchangeHeaders returns the headers for the exchange of a token that are taken from
// the parameters of a call, the parameters that are left, and what is wrong with those
// it took.
func ExchangeHeaders(a *domain.Auth, params map[string]any) (http.Header, map[string]any, []domain.Problem) {
	if a == nil || a.Type != domain.BearerTokenExchange || len(a.ExchangeParamHeaders) == 0 {
		return nil, params, nil
	}
	headers, left := http.Header{}, maps.Clone(params)
	var problems []domain.Problem
	for _, h := range a.ExchangeParamHeaders {
		v, given := params[h.ParamName]
		value, ok := jsonvalue.Scalar(v)
		switch {
		case !given || v == nil || value == "" && ok:
			if h.Required {
				problems = append(problems, problem(h.ParamName, "required", "is required: it is part of signing in"))
			}
		case !ok:
			problems = append(problems, problem(h.ParamName, "type", "must be a string, a number or a boolean: it travels as a header"))
		case !httpguts.ValidHeaderFieldValue(value) || len(value) > 8192:
			problems = append(problems, problem(h.ParamName, "pattern", "must be text that a header can carry"))
		default:
			headers.Set(h.HeaderName, value)
		}
		if h.Consume {
			delete(left, h.ParamName)
		}
	}
	return headers, left, problems
}

func problem(param, code, detail string) domain.Problem {
	return domain.Problem{Pointer: "/params/" + domain.EscapePointer(param), Code: code, Detail: detail}
}

// requestExchange exchanges a secret for a token. A probe has no parameters, so it
// can't where one is required.
func requestExchange(_ context.Context, i *issuer, s signing) (tokenRequest, *callerror.Error) {
	a := s.auth
	if at := slices.IndexFunc(a.ExchangeParamHeaders, func(h domain.ExchangeParamHeader) bool {
		return h.Required && s.Exchange.Get(h.HeaderName) == ""
	}); at >= 0 {
		return tokenRequest{}, callerror.Misconfigured("Signing in takes the parameter %q of a call, so only a call can get a token.", a.ExchangeParamHeaders[at].ParamName)
	}
	b := tokenBuilder{issuer: i, signing: s, endpoint: a.ExchangeURL, params: map[string]string{}}
	secret := s.secret.Reveal()
	if a.SecretField() == domain.PrivateKeyField {
		assertion, e := bearerAssertion(s, i.now())
		if e != nil {
			return tokenRequest{}, e
		}
		secret, b.asserts = assertion, true
	}
	r, e := b.build()
	if e != nil {
		return r, e
	}
	maps.Copy(r.Header, s.Exchange)
	value := strings.ReplaceAll(a.ExchangeSecretFormat, "{secret}", secret)
	r.SetSecretHeader(a.ExchangeSecretHeader, value, secret, value)
	return r, nil
}

func readExchange(a domain.Auth, answer map[string]any) (issued, *callerror.Error) {
	text, e := valueAt("exchange_token_field", a.ExchangeTokenField, answer)
	if e != nil {
		return issued{}, e
	}
	lasts := time.Duration(a.ExchangeDefaultTTLSeconds) * time.Second
	if a.ExchangeExpiresInField != "" {
		seconds, e := valueAt("exchange_expires_in_field", a.ExchangeExpiresInField, answer)
		if e != nil {
			return issued{}, e
		}
		lasts = lifetime(seconds, lasts)
	}
	found, _ := text.(string)
	return issued{text: found, lifetime: lasts}, nil
}
