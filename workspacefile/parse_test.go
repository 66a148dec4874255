package workspacefile_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/workspacefile"
)

func TestAFileIsReadStrictly(t *testing.T) {
	deep := strings.Repeat("[", 70) + strings.Repeat("]", 70)
	for text, want := range map[string]string{
		"": "",
		"integrations: []\n---\nintegrations: []\n": "",
		"[]":                        "one member",
		"integrations: {}":          "one member",
		"integrations: []\nmore: 1": "one member",
		"integrations: [1]":         "line 1: an integration must have a name",
		"integrations:\n- {name: a1}\n- {name: a1}":         `line 3: "a1" is in the file twice`,
		"integrations:\n- {name: a1,\n   name: a1}":         `line 3`,
		"integrations:\n- {name: a1, x: &a 1, y: *a}":       "aliases",
		"integrations:\n- name: a1\n  <<: {x: 1}":           "plain name",
		"integrations:\n- {name: a1, [a]: 1}":               "plain name",
		"integrations:\n- {name: a1, x: .nan}":              "not a JSON number",
		"integrations:\n- {name: a1, x: !!binary aGVsbG8=}": "!!binary",
		"integrations:\n- {name: a1, x: " + deep + "}":      "deeper",
	} {
		_, err := workspacefile.Parse([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
	all, err := workspacefile.Parse([]byte("integrations: [{name: a1, a: 0x10, b: 1e2, c: 2026-05-06, d: no, e: ~, f: -0.5, g: '5'}]"))
	require.NoError(t, err)
	require.Equal(t, domain.Document{
		"a": json.Number("16"), "b": json.Number("1e2"), "c": "2026-05-06", "d": "no", "e": nil, "f": json.Number("-0.5"), "g": "5",
	}, all[0].Document)
}

func TestASecretOfAFileComesFromTheEnvironment(t *testing.T) {
	const file = "integrations:\n- name: crm\n  auth:\n    bearer_token_value: ${TOKEN}\n  mcp_headers: {X-Key: plain}\n"
	all, err := workspacefile.Parse([]byte(file))
	require.NoError(t, err)
	missing, literal := all[0].ExpandSecrets(func(string) (string, bool) { return "", false })
	require.Len(t, missing, 1)
	require.Equal(t, "/auth/bearer_token_value", missing[0].Pointer)
	require.Equal(t, 4, missing[0].Line)
	require.Len(t, literal, 1)
	require.Equal(t, "/mcp_headers/X-Key", literal[0].Pointer)
	require.Equal(t, 5, literal[0].Line)

	missing, _ = all[0].ExpandSecrets(func(name string) (string, bool) { return "value of " + name, true })
	require.Empty(t, missing)
	require.Equal(t, map[string]any{"bearer_token_value": "value of TOKEN"}, all[0].Document["auth"])
}

// Who writes a file and gives the address that the secret is sent to must not get the root key.
func TestTheSecretsOfTheServiceAreNotThoseOfAFile(t *testing.T) {
	for _, name := range []string{"INTEGRATIONS_ROOT_KEYSET", "VAULT_TOKEN", "AWS_SECRET_ACCESS_KEY"} {
		all, err := workspacefile.Parse([]byte("integrations:\n- name: crm\n  auth:\n    bearer_token_value: ${" + name + "}\n"))
		require.NoError(t, err)
		refused, _ := all[0].ExpandSecrets(func(string) (string, bool) { return "s3cret", true })
		require.Len(t, refused, 1, name)
		require.Equal(t, "variable_refused", refused[0].Code)
	}
}

func TestASecretAmongTextsComesFromTheEnvironmentToo(t *testing.T) {
	const file = "integrations:\n- name: crm\n  headers: {X-Version: '2', X-Key: {value: '${KEY}'}}\n  auth:\n    client_secret_value: ${SECRET}\n" +
		"    token_params: {audience: crm, password: {value: plain}}\n"
	all, err := workspacefile.Parse([]byte(file))
	require.NoError(t, err)
	missing, literal := all[0].ExpandSecrets(func(string) (string, bool) { return "", false })
	require.Len(t, missing, 2)
	require.Len(t, literal, 1)
	require.Equal(t, "/auth/token_params/password", literal[0].Pointer)
	missing, _ = all[0].ExpandSecrets(func(name string) (string, bool) { return "value of " + name, true })
	require.Empty(t, missing)
	require.Equal(t, map[string]any{"X-Version": "2", "X-Key": map[string]any{"value": "value of KEY"}}, all[0].Document["headers"])
}

func TestAVariableThatIsNoSecretIsRefused(t *testing.T) {
	for pointer, text := range map[string]string{
		"/headers/X-A":                            "headers: {X-A: '${P1}', X-B: 'a ${P1}'}",
		"/auth/token_params/p~1n":                 "auth: {token_params: {p/n: '${P1}'}}",
		"/endpoints/0/auth/token_headers/X-Token": "endpoints: [{name: list, auth: {token_headers: {X-Token: '${P1}'}}}]",
	} {
		all, err := workspacefile.Parse([]byte("integrations:\n- name: crm\n  " + text + "\n"))
		require.NoError(t, err)
		refused, _ := all[0].ExpandSecrets(func(string) (string, bool) { return "s3cret", true })
		require.Len(t, refused, 1, text)
		require.Equal(t, pointer, refused[0].Pointer)
		require.Equal(t, 3, refused[0].Line)
		require.Equal(t, `is a text here, which is not secret: write {value: "${P1}"}`, refused[0].Detail)
	}
}
