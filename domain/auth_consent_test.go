package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

const consentURLs = `"authorization_url": "https://id.example.com/authorize", "token_url": "https://id.example.com/token"`

func TestAPersonsConsentIsConfigured(t *testing.T) {
	i := created(t, with(`{"type": "oauth2_authorization_code", "client_id": "c", "client_secret_value": "s", `+consentURLs+`, "scopes": "read write",
		"authorization_params": {"access_type": "offline"}, "token_response": {"access_token": "authed_user.access_token", "ok": "ok"}, "resource": "none"}`))
	require.Equal(t, domain.RegistrationAuto, i.Auth.Registration)
	require.Equal(t, "authed_user.access_token", i.Auth.Places().AccessToken)
	require.Equal(t, "refresh_token", i.Auth.Places().RefreshToken)
	require.Equal(t, []string{
		"https://crm.example.com:443 token", `https://id.example.com:443 as "c" at "https://id.example.com/authorize" reads {"authed_user.access_token" "refresh_token" "expires_in" "scope" "ok" ""}`,
		"https://id.example.com:443 client_secret_",
	}, i.Auth.Secrets["client_secret_value"].Destinations)
	require.True(t, i.Consents())
	for _, change := range []string{
		`{"auth": {"token_url": "https://evil.example.com/token"}}`, `{"auth": {"client_auth_method": "body"}}`, `{"base_url": "https://evil.example.com"}`,
		`{"auth": {"token_response": {"access_token": "error"}}}`, `{"auth": {"authorization_url": "https://evil.example.com/authorize"}}`,
	} {
		refused(t, i, change, "/auth/client_secret_value", "secret_required")
	}
	public, _ := updated(t, i, `{"auth": {"client_secret_value": ""}}`)
	require.Empty(t, public.Auth.Secrets, "a public client")
}

func TestAnAuthorizationServerIsDiscoveredForMCP(t *testing.T) {
	i := created(t, `{"name": "notes", "display_name": "Notes", "protocol": "mcp", "mcp_transport": "http", "mcp_url": "https://mcp.example.com/mcp", "auth": {"type": "oauth2_authorization_code"}}`)
	require.Equal(t, "oauth2_authorization_code", string(i.Auth.Type))
	require.Empty(t, i.Auth.Secrets)
}

func TestAConsentThatCantBeAskedForIsRefused(t *testing.T) {
	auth := func(members string) string { return with(`{"type": "oauth2_authorization_code", ` + members + `}`) }
	for _, row := range []struct{ doc, pointer, code string }{
		{auth(`"client_id": "c"`), "/auth/authorization_url", "required"},
		{auth(`"client_id": "c", "token_url": "https://id.example.com/token"`), "/auth/authorization_url", "required"},
		{auth(`"client_id": "c", "authorization_url": "https://id.example.com/authorize"`), "/auth/token_url", "required"},
		{auth(consentURLs), "/auth/client_id", "required"},
		{auth(`"client_id": "c", "token_url": "https://id.example.com/token", "authorization_url": "javascript:alert(1)"`), "/auth/authorization_url", "url_invalid"},
		{auth(`"client_id": "c", "token_url": "http://id.example.com/token", "authorization_url": "https://id.example.com/authorize"`), "/auth/token_url", "url_invalid"},
		{auth(`"client_id": "c", "resource": "a path", ` + consentURLs), "/auth/resource", "url_invalid"},
		{auth(`"client_id": "c", "authorization_params": {"state": "x"}, ` + consentURLs), "/auth/authorization_params/state", "not_allowed"},
		{auth(`"client_id": "c", "token_response": {"access_token": "length(x)"}, ` + consentURLs), "/auth/token_response/access_token", "expression_invalid"},
		{auth(`"client_id": "c", "registration": "pre_registered", "client_id": null, "issuer": "https://id.example.com"`), "/auth/client_id", "required"},
		{`{"name": "crm", "display_name": "CRM", "base_url": "https://crm.example.com", "endpoints": [{"name": "e", "path": "/", "auth": {"type": "oauth2_authorization_code", "client_id": "c", ` + consentURLs + `}}]}`, "/endpoints/0/auth/type", "not_allowed"},
	} {
		_, err := domain.Integration{}.Create("w", doc(t, row.doc), domain.Attempt{At: later, ID: "a"}, rules)
		requireProblem(t, err, row.pointer, row.code)
	}
}
