package workspacefile_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/workspacefile"
)

func parse(t *testing.T, text string) []workspacefile.Entry {
	t.Helper()
	all, err := workspacefile.Parse([]byte(text))
	require.NoError(t, err)
	return all
}

const staging = `integrations:
- name: crm
  base_url: https://staging.example.com
  auth: {type: api_key_header, header_name: X-Key}
  headers: {x-tenant: null, x-version: "2"}
  endpoints:
  - {name: read, path: /a, method: GET}
  - {name: write, path: /b, auth: {type: basic, username: u}}
- {name: ehr, base_url: https://ehr.example.com}
`

func TestAnOverlayChangesWhatItNamesAndNothingElse(t *testing.T) {
	all := parse(t, staging)
	changed, err := workspacefile.Overlay(all, parse(t, `integrations:
- name: crm
  base_url: https://crm.example.com
  auth: {api_key_value: "${KEY}"}
  headers: {X-Tenant: {value: "${TENANT}"}, x-version: null}
  endpoints: [{name: write, path: /c, auth: {type: bearer_token, bearer_token_value: "${TOKEN}"}}]
`))
	require.NoError(t, err)
	require.Equal(t, domain.Document{
		"base_url": "https://crm.example.com",
		"auth":     map[string]any{"type": "api_key_header", "header_name": "X-Key", "api_key_value": "${KEY}"},
		"headers":  map[string]any{"x-tenant": map[string]any{"value": "${TENANT}"}},
		"endpoints": []any{
			map[string]any{"name": "read", "path": "/a", "method": "GET"},
			map[string]any{"name": "write", "path": "/c", "auth": map[string]any{"type": "bearer_token", "bearer_token_value": "${TOKEN}"}},
		},
	}, changed[0].Document, "an auth of another type replaces the one that was there")
	require.Equal(t, parse(t, staging)[0].Document, all[0].Document, "what is promoted stays as it is")
	require.Equal(t, all[1], changed[1])
	missing, literal := changed[0].ExpandSecrets(func(string) (string, bool) { return "", false })
	require.Len(t, missing, 3)
	require.Empty(t, literal)
}

func TestAnOverlayOfWhatIsNotThereIsRefused(t *testing.T) {
	for change, want := range map[string]string{
		"integrations:\n- {name: shop}":                              `line 2: there is no integration "shop"`,
		"integrations:\n- name: crm\n  endpoints:\n  - {name: list}": `line 4: the integration "crm" has no endpoint`,
		"integrations:\n- name: crm\n  endpoints: [x]":               `line 3: the integration "crm" has no endpoint`,
	} {
		_, err := workspacefile.Overlay(parse(t, staging), parse(t, change))
		require.ErrorContains(t, err, want)
	}
}

func TestDifferencesNeverShowASecret(t *testing.T) {
	with := parse(t, strings.ReplaceAll(strings.ReplaceAll(staging, "header_name: X-Key", "header_name: X-Key, api_key_value: planted"), "x-tenant: null", "x-tenant: {value: planted}"))
	require.Equal(t, workspacefile.Differences{Same: 2, Integrations: []workspacefile.Difference{}}, workspacefile.Compare(parse(t, staging), with))

	found := workspacefile.Compare(with, parse(t, strings.ReplaceAll(strings.Replace(staging, "ehr", "erp", 1), "path: /a", "path: /z"))[:2])
	require.Equal(t, []workspacefile.Difference{
		{Name: "crm", In: workspacefile.InBoth, Changed: []domain.Change{{Pointer: "/endpoints/0/path", Old: "/a", New: "/z"}}},
		{Name: "ehr", In: workspacefile.InFirst, Changed: []domain.Change{}},
		{Name: "erp", In: workspacefile.InSecond, Changed: []domain.Change{}},
	}, found.Integrations)
	var text strings.Builder
	require.NoError(t, found.WriteText(&text, "staging", "production.yaml"))
	require.Equal(t, `crm differs
        /endpoints/0/path: "/a" -> "/z"
ehr is only in staging
erp is only in production.yaml
1 only in staging, 1 only in production.yaml, 1 different, 0 the same; secrets are not compared
`, text.String())

	whole := workspacefile.Compare(with, parse(t, strings.ReplaceAll(staging, "{type: api_key_header, header_name: X-Key}", "null")))
	require.NotContains(t, whole.Integrations[0].Changed, "planted")
	require.NoError(t, whole.WriteText(&text, "a", "b"))
	require.NotContains(t, text.String(), "planted")
}

func TestASecretThatOnlyOneHasIsADifference(t *testing.T) {
	const without = "integrations: [{name: crm, auth: {type: basic, token_params: {}}, headers: {}, mcp_headers: {}}]"
	with := parse(t, "integrations: [{name: crm, auth: {type: basic, token_params: {pin: null}}, headers: {X-A: null}, mcp_headers: {X-Key: null}}]")
	d := workspacefile.Compare(parse(t, without), with)
	var text strings.Builder
	require.NoError(t, d.WriteText(&text, "a", "b"))
	require.Contains(t, text.String(), `crm differs
        /auth/token_params/pin: null -> {"secret":true}
        /headers/X-A: null -> {"secret":true}
        /mcp_headers/x-key: null -> {"secret":true}
`)
	given := parse(t, "integrations: [{name: crm, auth: {type: basic, token_params: {pin: {value: a}}}, headers: {X-A: {value: b}}, mcp_headers: {x-key: c}}]")
	require.Equal(t, 1, workspacefile.Compare(with, given).Same, "the secrets themselves are not compared")
}
