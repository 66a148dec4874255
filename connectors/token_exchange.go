package connectors

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/seed677028b5/integrations/domain"
)

// exchangeHeaders returns what an exchange of tokens is told of a call: headers
// taken from its parameters. It returns the parameters that are left, and what
// is wrong with those it took.
func exchangeHeaders(a *domain.Auth, params map[string]any) (http.Header, map[string]any, []domain.Problem) {
	if a == nil || a.Type != domain.BearerTokenExchange || len(a.ExchangeParamHeaders) == 0 {
		return nil, params, nil
	}
	headers, left := http.Header{}, maps.Clone(params)
	var problems []domain.Problem
	for _, h := range a.ExchangeParamHeaders {
		v, given := params[h.ParamName]
		value, ok := scalar(v)
		switch {
		case !given || v == nil || value == "" && ok:
			if h.Required {
				problems = append(problems, paramProblem(h.ParamName, "required", "is required: it is part of signing in"))
			}
		case !ok:
			problems = append(problems, paramProblem(h.ParamName, "type", "must be a string, a number or a boolean: it travels as a header"))
		case !httpguts.ValidHeaderFieldValue(value) || len(value) > 8192:
			problems = append(problems, paramProblem(h.ParamName, "pattern", "must be text that a header can carry"))
		default:
			headers.Set(h.HeaderName, value)
		}
		if h.Consume {
			delete(left, h.ParamName)
		}
	}
	return headers, left, problems
}

// askExchange exchanges a secret for a token. A probe knows no parameters, so
// it can't where one is required.
func askExchange(_ context.Context, t *tokens, s signing) (*outgoing, *fault) {
	a := s.auth
	if at := slices.IndexFunc(a.ExchangeParamHeaders, func(h domain.ExchangeParamHeader) bool {
		return h.Required && s.out.exchange.Get(h.HeaderName) == ""
	}); at >= 0 {
		return nil, misconfigured("Signing in takes the parameter %q of a call, so a token can be had in a call only.", a.ExchangeParamHeaders[at].ParamName)
	}
	out, f := t.asking(a.ExchangeURL, "", nil)
	if f != nil {
		return nil, f
	}
	for name, values := range s.out.exchange {
		out.header[name] = values
	}
	secret := s.secret.Reveal()
	whole := strings.ReplaceAll(a.ExchangeSecretFormat, "{secret}", secret)
	out.hideHeader(a.ExchangeSecretHeader, whole, secret, whole)
	return out, nil
}

func readExchange(a domain.Auth, said map[string]any) (minted, *fault) {
	text, f := picked("exchange_token_field", a.ExchangeTokenField, said)
	if f != nil {
		return minted{}, f
	}
	lasts := time.Duration(a.ExchangeDefaultTTLSeconds) * time.Second
	if a.ExchangeExpiresInField != "" {
		seconds, f := picked("exchange_expires_in_field", a.ExchangeExpiresInField, said)
		if f != nil {
			return minted{}, f
		}
		lasts = lifetime(seconds, lasts)
	}
	found, _ := text.(string)
	return minted{found, lasts}, nil
}
