package domain_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

// configurations are documents that differ in every field but the name.
func configurations(t *testing.T) map[string]string {
	t.Helper()
	everything, err := os.ReadFile("testdata/everything.json")
	require.NoError(t, err)
	all := map[string]string{
		"plain": plain, "keyed": keyed, "calling": calling, "everything": string(everything),
		"headers": tooled,
		"tools": `{"name": "crm", "display_name": "Tools", "protocol": "mcp", "mcp_transport": "sse", "mcp_url": "https://mcp.example.com/sse",
			"auth": {"type": "bearer_token", "bearer_token_value": "t"}, "endpoints": [{"name": "echo", "description": "Echo.", "path": ""}]}`,
		"query":  `{"name": "crm", "display_name": "CRM", "base_url": "https://crm.example.com/v2", "auth": {"type": "api_key_header", "query_name": "key", "api_key_value": "k"}}`,
		"tokens": `{"name": "crm", "display_name": "CRM", "base_url": "https://crm.example.com/v2", "auth": {"type": "oauth2_client_credentials", "client_id": "c", "client_secret_value": "s", "token_url": "https://id.example.com/token", "scopes": ["a"]}}`,
		"fewer":  `{"name": "crm", "display_name": "CRM", "base_url": "https://crm.example.com/v2", "auth": {"type": "oauth2_client_credentials", "client_id": "c", "client_secret_value": "s", "token_url": "https://id.example.com/token"}}`,
	}
	for name, text := range all {
		all[name] = strings.NewReplacer(`"name": "everything"`, `"name": "crm"`, `"name": "tools"`, `"name": "crm"`).Replace(text)
	}
	return all
}

func TestAConfigurationIsRestoredCompletely(t *testing.T) {
	all := configurations(t)
	for first, given := range all {
		for second, between := range all {
			before := created(t, given)
			with := doc(t, between)
			delete(with, "name")
			decision, err := before.Replace(with, domain.Attempt{At: later, ID: "a2"}, rules)
			require.NoError(t, err, "from %s to %s", first, second)
			now := domain.Evolve(before, decision.Event)
			require.Equal(t, created(t, between).Document(), now.Document(), "from %s to %s", first, second)

			decision, err = now.Replace(before.Document(), domain.Attempt{At: later, ID: "a3"}, rules)
			if refusal, ok := errors.AsType[*domain.Error](err); ok {
				for _, p := range refusal.Problems {
					require.Contains(t, []string{"required", "secret_required"}, p.Code, "from %s back to %s: %v", second, first, p)
					require.True(t, strings.HasSuffix(p.Pointer, "_value") || strings.HasPrefix(p.Pointer, "/mcp_headers/"), "%v", p)
				}
				continue
			}
			require.NoError(t, err)
			require.Empty(t, decision.Seal)
			require.Equal(t, before.Document(), domain.Evolve(now, decision.Event).Document(), "from %s back to %s", second, first)
		}
	}
}

func TestASecretIsKeptOnlyForItsDestination(t *testing.T) {
	before := created(t, keyed)
	decision, err := before.Update(doc(t, `{"display_name": "Other", "auth": {"api_key_value": "k2"}}`), domain.Attempt{At: later, ID: "a2"}, rules)
	require.NoError(t, err)
	now := domain.Evolve(before, decision.Event)
	decision, err = now.Replace(before.Document(), domain.Attempt{At: later, ID: "a3"}, rules)
	require.NoError(t, err)
	restored := domain.Evolve(now, decision.Event)
	require.Equal(t, "CRM", restored.DisplayName)
	require.Equal(t, now.Auth.Secrets, restored.Auth.Secrets, "the secret keeps its present value")
	require.Equal(t, []string{"/display_name"}, decision.Event.(domain.IntegrationUpdated).Changed)

	decision, err = before.Update(doc(t, `{"base_url": "https://b.example.com", "auth": {"api_key_value": "k2"}}`), domain.Attempt{At: later, ID: "a2"}, rules)
	require.NoError(t, err)
	_, err = domain.Evolve(before, decision.Event).Replace(before.Document(), domain.Attempt{At: later, ID: "a3"}, rules)
	require.ErrorContains(t, err, "/auth/api_key_value: must be given again")
}

func TestReplacingWithTheSameConfigurationChangesNothing(t *testing.T) {
	for name, text := range configurations(t) {
		i := created(t, text)
		decision, err := i.Replace(i.Document(), domain.Attempt{At: later, ID: "a2"}, rules)
		require.NoError(t, err, name)
		require.Equal(t, domain.Decision{}, decision, name)
	}
}

func TestOnlyAnExistingIntegrationIsReplaced(t *testing.T) {
	_, err := domain.Integration{}.Replace(domain.Document{}, domain.Attempt{At: noon}, rules)
	require.Equal(t, domain.NotFound, domain.KindOf(err))
	_, err = domain.Integration{ID: "x", Builtin: true}.Replace(domain.Document{}, domain.Attempt{At: noon}, rules)
	require.Equal(t, domain.Conflict, domain.KindOf(err))
}
