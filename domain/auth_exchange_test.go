package domain_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatIsExchangedIsPartOfWhatASubjectTokenIsGivenFor(t *testing.T) {
	i := created(t, with(`{"type": "oauth2_token_exchange", "issuer": "https://id.example.com", "client_id": "c", "client_secret_value": "s", "subject_token_value": "t",
		"requested_token_type": "id-jag", "resource_issuer": "https://as.example.com", "resource_client_id": "d", "resource_client_secret_value": "r"}`))
	origins := func(field string) map[string]bool {
		all := map[string]bool{}
		for _, d := range i.Auth.Secrets[field].Destinations {
			origin, _, _ := strings.Cut(d, " ")
			all[origin] = true
		}
		return all
	}
	upstream, provider, resource := "https://crm.example.com:443", "https://id.example.com:443", "https://as.example.com:443"
	require.Equal(t, map[string]bool{upstream: true, provider: true}, origins("subject_token_value"))
	require.Equal(t, map[string]bool{upstream: true, provider: true}, origins("client_secret_value"))
	require.Equal(t, map[string]bool{upstream: true, resource: true}, origins("resource_client_secret_value"))
	for _, field := range []string{"subject_token_value", "client_secret_value", "resource_client_secret_value"} {
		for _, change := range []string{
			`{"base_url": "https://evil.example.com"}`, `{"auth": {"audience": "payroll"}}`, `{"auth": {"resource": "https://payroll.example.com"}}`, `{"auth": {"client_id": "evil"}}`,
			`{"auth": {"subject_token_type": "access_token"}}`, `{"auth": {"resource_client_id": "evil"}}`, `{"auth": {"resource_issuer": "https://evil.example.com"}}`,
			`{"auth": {"resource_issuer": null, "resource_token_url": "https://evil.example.com/token", "audience": "https://as.example.com"}}`,
		} {
			refused(t, i, change, "/auth/"+field, "secret_required")
		}
	}
	for _, change := range []string{`{"auth": {"issuer": "https://evil.example.com"}}`, `{"auth": {"issuer": null, "token_url": "https://evil.example.com/token"}}`} {
		refused(t, i, change, "/auth/subject_token_value", "secret_required")
		refused(t, i, change, "/auth/client_secret_value", "secret_required")
	}
	kept, _ := updated(t, i, `{"auth": {"scopes": "read"}}`)
	require.Len(t, kept.Auth.Secrets, 3)
}

func TestAClientSecretBelongsToTheIssuerThatItWasGivenFor(t *testing.T) {
	i := created(t, with(`{"type": "oauth2_client_credentials", "issuer": "https://id.example.com/realms/a", "client_id": "c", "client_secret_value": "s"}`))
	require.Equal(t, []string{"https://crm.example.com:443 token", "https://id.example.com:443 client_secret_basic"}, i.Auth.Secrets["client_secret_value"].Destinations)
	refused(t, i, `{"auth": {"issuer": "https://evil.example.com/realms/a"}}`, "/auth/client_secret_value", "secret_required")
	at := created(t, `{"name": "notes", "display_name": "Notes", "protocol": "mcp", "mcp_transport": "http", "mcp_url": "https://mcp.example.com/mcp",
		"auth": {"type": "oauth2_client_credentials", "client_id": "c", "client_secret_value": "s"}}`)
	require.Equal(t, []string{"https://mcp.example.com:443 client_secret_basic", "https://mcp.example.com:443 token"}, at.Auth.Secrets["client_secret_value"].Destinations)
	refused(t, at, `{"mcp_url": "https://evil.example.com/mcp"}`, "/auth/client_secret_value", "secret_required")
	refused(t, at, `{"auth": {"issuer": "https://id.example.com"}}`, "/auth/client_secret_value", "secret_required")
}
