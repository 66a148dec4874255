package domain_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

func TestNumbersThatAreEqualAsFloatsAreDifferent(t *testing.T) {
	bounded := func(most string) domain.Configuration {
		return domain.Configuration{DisplayName: most, Endpoints: []domain.Endpoint{{InputSchema: json.RawMessage(`{"maximum":` + most + `}`)}}}
	}
	for _, row := range [][2]string{{"9007199254740992", "9007199254740993"}, {"1e999", "1e998"}} {
		changes := domain.Changes(bounded(row[0]), bounded(row[1]))
		require.Len(t, changes, 2)
		require.Equal(t, domain.Change{Pointer: "/endpoints/0/input_schema/maximum", Old: json.Number(row[0]), New: json.Number(row[1])}, changes[1])
	}
}

func TestOnlySecretPointersAreTreatedAsSecrets(t *testing.T) {
	with := func(typ string) domain.Configuration {
		schema := `{"properties": {"id": {"type": "` + typ + `"}, "field": {}, "destinations": {}}}`
		return created(t, `{"name": "crm", "display_name": "CRM", "base_url": "https://crm.example.com", "auth": {"bearer_token_value": "s"},
			"endpoints": [{"name": "e", "description": "E.", "path": "/e", "input_schema": `+schema+`, "auth": {"api_key_value": "k"}}]}`).Configuration
	}
	before, after := with("string"), with("integer")
	require.Equal(t, []domain.Change{{Pointer: "/endpoints/0/input_schema/properties/id/type", Old: "string", New: "integer"}}, domain.Changes(before, after))

	ref := after.Endpoints[0].Auth.Secrets["api_key_value"]
	ref.Version = 2
	after.Endpoints[0].Auth.Secrets["api_key_value"] = ref
	require.Contains(t, domain.Changes(before, after), domain.Change{Pointer: "/endpoints/0/auth/secrets/api_key_value", Secret: true})

	whole, err := json.Marshal(domain.Changes(domain.Configuration{}, before))
	require.NoError(t, err)
	require.NotContains(t, string(whole), `"destinations":[`)
	require.Contains(t, string(whole), `"id":{"type":"string"}`)
}
