package domain_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

func TestAnUnknownMemberNamesTheOneThatWasMeant(t *testing.T) {
	names := []string{"base_url", "display_name", "enabled", "endpoints", "header_name", "openapi_url", "protocol"}
	for given, want := range map[string]string{
		"enable": "enabled", "protocl": "protocol", "header": "header_name", "url": "base_url", "Enabled": "enabled",
		"endpoint": "endpoints", "basr_url": "base_url", "bsae_url": "base_url", "openapi": "openapi_url", "displayname": "display_name",
		"colour": "", "x": "", "": "", strings.Repeat("enabled", 100): "",
	} {
		detail := ""
		if want != "" {
			detail = "; did you mean " + want + "?"
		}
		require.Equal(t, detail, domain.Suggestion(given, names), given)
	}
}

func TestAMisspelledMemberOfAConfigurationIsSuggested(t *testing.T) {
	_, err := domain.Integration{}.Create("acme", doc(t, `{"name": "crm", "display_name": "CRM", "protocol": "rest", "base_url": "https://crm.example.com", "enable": true}`),
		domain.Attempt{At: noon, ID: "a1"}, rules)
	refusal, ok := errors.AsType[*domain.Error](err)
	require.True(t, ok)
	require.Equal(t, []domain.Problem{{Pointer: "/enable", Code: "unknown_member", Detail: "there is no such member here; did you mean enabled?"}}, refusal.Problems)
}
