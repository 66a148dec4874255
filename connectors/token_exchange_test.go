package connectors

import (
	"strings"
	"testing"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

func exchange(at string, headers ...domain.ExchangeParamHeader) domain.Auth {
	return domain.Auth{
		Type: domain.BearerTokenExchange, ExchangeURL: at, ExchangeSecretHeader: "X-Api-Key", ExchangeSecretFormat: "Key {secret}",
		ExchangeTokenField: "token", ExchangeDefaultTTLSeconds: 120, ExchangeParamHeaders: headers,
	}
}

func TestASecretIsExchangedForATokenPerCaller(t *testing.T) {
	base, last := recorder(t)
	from := issues(t, func(n int) string { return `{"token": "token-` + string(rune('0'+n)) + `"}` })
	r, clock := atClock(t)
	a := exchange(from.url,
		domain.ExchangeParamHeader{HeaderName: "X-User", ParamName: "user", Required: true, Consume: true},
		domain.ExchangeParamHeader{HeaderName: "X-Place", ParamName: "place"})
	as := func(params map[string]any) string {
		t.Helper()
		result := succeeds(t, r, byToken(calling(base, params, nil), a, "key-1234"))
		if strings.Contains(asJSON(t, result), "key-1234") {
			t.Error("the secret is shown")
		}
		got := last()
		return got.URI + " " + got.Header.Get("Authorization")
	}
	for _, row := range []struct {
		params map[string]any
		want   string
	}{
		{map[string]any{"user": "amy", "place": "here"}, "/?place=here Bearer token-1"},
		{map[string]any{"user": "bob", "place": "here"}, "/?place=here Bearer token-2"},
		{map[string]any{"user": "bob"}, "/ Bearer token-3"},
		{map[string]any{"user": "amy", "place": "here", "more": "1"}, "/?more=1&place=here Bearer token-1"},
	} {
		if got := as(row.params); got != row.want {
			t.Errorf("%v: got %s, want %s", row.params, got, row.want)
		}
	}
	first := from.requests()[0]
	if first.Header.Get("X-Api-Key") != "Key key-1234" || first.Header.Get("X-User") != "amy" || first.Header.Get("X-Place") != "here" || first.Body != "" {
		t.Errorf("got %+v", first)
	}
	if second := from.requests()[2]; second.Header.Get("X-Place") != "" {
		t.Errorf("got %+v", second)
	}
	clock.advance(96 * time.Second)
	until(t, "a token that lasts two minutes is renewed after 96 s", func() bool {
		return as(map[string]any{"user": "amy", "place": "here"}) == "/?place=here Bearer token-4"
	})
}

func TestAParameterThatSigningInTakesIsChecked(t *testing.T) {
	a := exchange("http://127.0.0.1:1/token",
		domain.ExchangeParamHeader{HeaderName: "X-User", ParamName: "user/id", Required: true, Consume: true})
	for want, params := range map[string]map[string]any{
		"/params/user~1id required": nil,
		"/params/user~1id type":     {"user/id": []any{"amy"}},
		"/params/user~1id pattern":  {"user/id": "amy\r\nX-Role: admin"},
	} {
		if got := refuses(t, byToken(calling("http://127.0.0.1:1", params, nil), a, canary)); len(got) != 1 || got[0] != want {
			t.Errorf("got %q, want %s", got, want)
		}
	}
	if got := refuses(t, byToken(calling("http://127.0.0.1:1", map[string]any{"user/id": ""}, nil), a, canary)); len(got) != 1 || !strings.HasSuffix(got[0], "required") {
		t.Errorf("got %q", got)
	}
	c := byToken(calling("http://127.0.0.1:1", nil, nil), a, canary)
	if p := onLoopback(t).Probe(t.Context(), c.Integration, c.Keyring); p.Status != domain.Misconfigured || p.AuthResolved || !strings.Contains(p.Message, `"user/id"`) {
		t.Errorf("a probe without parameters came to %+v", p)
	}
}

func TestTheLifetimeOfAnExchangedTokenIsReadWhereItsFieldPoints(t *testing.T) {
	for body, lasts := range map[string]string{
		`{"token": "t-1234", "meta": {"ttl": 1000}}`:     "less than an hour",
		`{"token": "t-1234", "meta": {"ttl": "1000.0"}}`: "less than an hour",
		`{"token": "t-1234", "meta": {"ttl": 1e300}}`:    "less than a day",
		`{"token": "t-1234"}`:                            "less than 5 minutes",
		`{"token": "t-1234", "meta": {"ttl": -5}}`:       "for one use only",
		`{"token": "t-1234", "meta": {"ttl": {}}}`:       "for one use only",
	} {
		a := exchange(issues(t, func(int) string { return body }).url)
		a.ExchangeExpiresInField = "meta.ttl"
		base, _ := recorder(t)
		r, _ := atClock(t)
		c := byToken(calling(base, nil, nil), a, canary)
		succeeds(t, r, c)
		p := r.Probe(t.Context(), c.Integration, c.Keyring)
		if !strings.HasSuffix(p.Steps[0].Detail, " lasts "+lasts+".") {
			t.Errorf("%s: %s, want %s", body, p.Steps[0].Detail, lasts)
		}
	}
}
