package domain_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed677028b5/integrations/domain"
)

// capturing is an integration that keeps values of the account, with more members of its auth.
func capturing(capture, more string) string {
	return `{"name": "crm", "display_name": "CRM", "base_url": "https://{account.shop}/admin", "auth": {"type": "oauth2_authorization_code", "client_id": "c", "client_secret_value": "s",
		` + consentURLs + `, "capture": ` + capture + more + `}}`
}

// over returns the text of a document with the members of another in it, at every depth.
func over(t *testing.T, text, more string) string {
	t.Helper()
	var put func(into, from map[string]any)
	put = func(into, from map[string]any) {
		for name, value := range from {
			below, both := into[name].(map[string]any)
			if members, ok := value.(map[string]any); ok && both {
				put(below, members)
				continue
			}
			into[name] = value
		}
	}
	whole := doc(t, text)
	put(whole, doc(t, more))
	data, err := json.Marshal(whole)
	require.NoError(t, err)
	return string(data)
}

const shop = `{"shop": {"from": "callback", "path": "shop", "hosts": ["*.myshopify.com"]}}`

func TestTheHostsOfACaptureArePartOfWhatSecretsAreGivenFor(t *testing.T) {
	i := created(t, over(t, capturing(shop, ``), `{"headers": {"X-Key": {"value": "k"}}}`))
	require.Equal(t, []string{"https://*.myshopify.com:443 header X-Key"}, i.HeaderSecrets["X-Key"].Destinations)
	require.Contains(t, i.Auth.Secrets["client_secret_value"].Destinations, "https://*.myshopify.com:443 token")
	before := i.ConsentBinding()
	for _, change := range []string{
		`{"auth": {"capture": {"shop": {"from": "callback", "path": "shop", "hosts": ["*.myshopify.com", "*.evil.example"]}}}}`,
		`{"base_url": "https://{account.shop}/admin", "auth": {"capture": {"shop": {"from": "token", "path": "shop", "hosts": ["*.myshopify.com"]}}}}`,
		`{"auth": {"identity_call": {"url": "https://evil.example"}}}`, `{"auth": {"callback_hmac": "hmac"}}`, `{"auth": {"token_url": "https://{account.shop}/token"}}`,
	} {
		refused(t, i, change, "/auth/client_secret_value", "secret_required")
		next, _ := updated(t, i, over(t, change, `{"auth": {"client_secret_value": "s2"}, "headers": {"X-Key": {"value": "k2"}}}`))
		require.NotEqual(t, before, next.ConsentBinding(), "somebody must sign in again")
	}
	next, _ := updated(t, i, `{"auth": {"scopes": "a"}}`)
	require.Equal(t, before, next.ConsentBinding())
	read, err := i.Replace(i.Document(), domain.Attempt{At: later, ID: "b"}, rules)
	require.NoError(t, err)
	require.Nil(t, read.Event, "what is shown can be sent back")
}

func TestACaptureThatCouldBeAnybodysIsRefused(t *testing.T) {
	one := func(members string) string { return `{"shop": {` + members + `}}` }
	for _, row := range []struct{ doc, pointer, code string }{
		{capturing(one(`"from": "callback", "path": "shop"`), ``), "/auth/capture/shop/hosts", "required"},
		{capturing(`null`, ``), "/base_url", "account_unknown"},
		{capturing(one(`"from": "nowhere", "path": "shop"`), ``), "/auth/capture/shop/from", "enum"},
		{capturing(one(`"from": "callback", "path": "code"`), ``), "/auth/capture/shop/path", "not_allowed"},
		{capturing(one(`"from": "callback", "path": "State"`), ``), "/auth/capture/shop/path", "not_allowed"},
		{capturing(one(`"from": "token"`), ``), "/auth/capture/shop/path", "required"},
		{capturing(one(`"from": "token", "path": "length(x)"`), ``), "/auth/capture/shop/path", "expression_invalid"},
		{capturing(one(`"from": "token", "path": "authed_user.access_token"`), ``), "/auth/capture/shop/path", "not_allowed"},
		{capturing(one(`"from": "token", "path": "refresh_token"`), ``), "/auth/capture/shop/path", "not_allowed"},
		{capturing(one(`"from": "call", "path": "id"`), ``), "/auth/capture/shop/from", "required"},
		{capturing(one(`"from": "call", "path": "[*].a[*]"`), `, "identity_call": {"url": "https://a.example"}`), "/auth/capture/shop/path", "expression_invalid"},
		{capturing(one(`"from": "call", "path": "id", "label": "name"`), `, "identity_call": {"url": "https://a.example"}`), "/auth/capture/shop/label", "not_allowed"},
		{capturing(`{"Shop": {"from": "start"}}`, ``), "/auth/capture/Shop", "pattern"},
		{capturing(shop, `, "identity_call": {"url": "http://a.example"}`), "/auth/identity_call/url", "url_invalid"},
		{capturing(shop, `, "revocation_url": "https://a{account.shop}/r"`), "/auth/revocation_url", "url_invalid"},
		{capturing(one(`"from": "token", "path": "shop", "hosts": ["*.a.example"]`), `, "token_url": "https://{account.shop}/token"`), "/auth/token_url", "account_unknown"},
		{strings.Replace(capturing(shop, ``), "https://{account.shop}/admin", "https://{account.shop}.evil.example", 1), "/base_url", "url_invalid"},
		{strings.Replace(capturing(shop, ``), "https://{account.shop}/admin", "https://api.{account.shop}", 1), "/base_url", "url_invalid"},
		{strings.Replace(capturing(shop, ``), "https://{account.shop}/admin", "https://u@{account.shop}", 1), "/base_url", "url_invalid"},
		{strings.Replace(capturing(shop, ``), "https://{account.shop}/admin", "https://{account.shop}:8443", 1), "/base_url", "url_invalid"},
		{strings.Replace(capturing(shop, ``), "https://{account.shop}/admin", "https://{account.shop}/a?b", 1), "/base_url", "url_invalid"},
		{`{"name": "crm", "display_name": "CRM", "base_url": "https://{account.shop}"}`, "/base_url", "account_unknown"},
		{`{"name": "crm", "display_name": "CRM", "base_url": "https://a.example", "endpoints": [{"name": "e", "description": "E.", "path": "/{account.x}"}]}`, "/endpoints/0/path", "account_unknown"},
	} {
		_, err := domain.Integration{}.Create("w", doc(t, row.doc), domain.Attempt{At: later, ID: "a"}, rules)
		requireProblem(t, err, row.pointer, row.code)
	}
	for _, host := range []string{"*", "*.com", "*.*.example.com", "a.*.example.com", "https://a.example", "a.example/x", "A.example", "a.example:0", "", "a..example", "-a.example", "u@a.example"} {
		_, err := domain.Integration{}.Create("w", doc(t, capturing(one(`"from": "callback", "path": "shop", "hosts": ["`+host+`"]`), ``)), domain.Attempt{At: later, ID: "a"}, rules)
		code := "pattern"
		if host == "" {
			code = "too_short"
		}
		requireProblem(t, err, "/auth/capture/shop/hosts/0", code)
	}
}

func TestAHostIsOneThatItsCaptureNames(t *testing.T) {
	c := domain.Capture{Hosts: []string{"*.myshopify.com", "www.zohoapis.eu", "127.0.0.1:80"}}
	for value, want := range map[string]string{
		"acme.myshopify.com": "acme.myshopify.com", "ACME.myshopify.com": "acme.myshopify.com", "https://acme.myshopify.com/": "https://acme.myshopify.com",
		"https://www.zohoapis.eu": "https://www.zohoapis.eu", "http://127.0.0.1:80": "http://127.0.0.1:80",
		"http://acme.myshopify.com": "", "myshopify.com": "", ".myshopify.com": "", "a.b.myshopify.com": "", "acme.myshopify.com.evil.example": "", "evil.example": "",
		"acme.myshopify.com:444": "", "acme.myshopify.com/x": "", "acme.myshopify.com?x": "", "acme.myshopify.com?": "", "https://acme.myshopify.com#": "", "acme.myshopify.com/?": "", "acme.myshopify.com#x": "", "u@acme.myshopify.com": "", "acme.myshopify.com@evil.example": "",
		"evil.example/.myshopify.com": "", "evil.example\\.myshopify.com": "", "evil%2eexample.myshopify.com": "", "acme.myshopify.com.": "", "ac_me.myshopify.com": "", "*.myshopify.com": "",
		"javascript:alert(1)": "", "//acme.myshopify.com": "", "ácme.myshopify.com": "", " acme.myshopify.com": "", "": "",
	} {
		got, ok := c.Take(value)
		require.Equal(t, want != "", ok, value)
		require.Equal(t, want, got, value)
	}
	require.False(t, domain.SameOrigin("", ""))
	require.False(t, domain.SameOrigin("https://*.a.example:443", "https://*.a.example:444"))
}

// Whatever a value of the account is, a call stays below the base URL and at a host that the
// capture names.
func TestNoValueOfAnAccountLeadsElsewhere(t *testing.T) {
	i := created(t, capturing(`{"shop": {"from": "callback", "path": "shop", "hosts": ["*.myshopify.com"]}, "id": {"from": "token", "path": "id"}}`, ``))
	rapid.Check(t, func(t *rapid.T) {
		values := map[string]string{"shop": rapid.OneOf(rapid.Just("acme.myshopify.com"), rapid.String()).Draw(t, "shop"), "id": rapid.String().Draw(t, "id")}
		filled, e, err := i.ForAccount(domain.Endpoint{Path: "/{account.id}/x?y={account.id}"}, values)
		if err != nil {
			return
		}
		require.Equal(t, "https://"+strings.ToLower(strings.TrimSuffix(values["shop"], "/"))+"/admin", strings.Replace(filled.BaseURL, "https://https://", "https://", 1))
		require.True(t, domain.SameOrigin("https://*.myshopify.com:443", domain.Origin(filled.BaseURL)))
		require.Equal(t, 2, strings.Count(e.Path, "/"))
		require.Equal(t, 1, strings.Count(e.Path, "?"))
		require.NotContains(t, e.Path, "#")
		require.False(t, domain.HasDotSegment(strings.SplitN(e.Path, "?", 2)[0]))
	})
}

func TestAValueOfTheAccountIsNoParameterOfATool(t *testing.T) {
	i := created(t, over(t, capturing(shop, ``), `{"endpoints": [{"name": "e", "description": "E.", "method": "GET", "path": "/{account.shop}/{id}", "headers": {"X-Shop": "{account.shop}"}}]}`))
	require.JSONEq(t, `{"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}`, string(i.Endpoints[0].ToolSchema()))
	require.True(t, i.Captures())
	require.True(t, i.UsesAccount(i.Endpoints[0]))
	require.Equal(t, "https://{account.shop}/admin", i.BaseURL)
}
