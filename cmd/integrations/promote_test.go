package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/workspacefile"
)

const stagingFile = `integrations:
- name: crm
  display_name: CRM
  base_url: https://staging.example.com
  auth: {type: basic, username: u, password_value: "${STAGING}"}
  headers: {X-Tenant: {value: "${STAGING}"}, X-Version: "2"}
  endpoints:
  - {name: list_slots, description: Lists., path: /slots, auth: {type: bearer_token, bearer_token_value: "${STAGING}"}}
- name: tools
  display_name: Tools
  protocol: mcp
  mcp_transport: http
  mcp_url: https://mcp.example.com/mcp
  mcp_headers: {X-Key: "${STAGING}"}
- {name: ehr, display_name: EHR, base_url: https://ehr.example.com}
`

const productionFile = `integrations:
- name: crm
  base_url: https://crm.example.com
  auth: {password_value: "${CRM_PASSWORD}"}
  headers: {X-Tenant: {value: "${CRM_TENANT}"}}
  endpoints:
  - {name: list_slots, auth: {bearer_token_value: "${CRM_TOKEN}"}}
- {name: tools, mcp_headers: {X-Key: "${TOOLS_KEY}"}}
`

// promotion runs promote with --json.
func promotion(t *testing.T, args ...string) (exit int, p workspacefile.Plan, out string) {
	t.Helper()
	exit, out = tool(t, append([]string{"promote", "--json"}, args...)...)
	if strings.HasPrefix(out, "{") {
		require.NoError(t, json.Unmarshal([]byte(out), &p), out)
	}
	return exit, p, out
}

func actions(p workspacefile.Plan) (all []string) {
	for _, s := range p.Steps {
		all = append(all, string(s.Action)+" "+s.Name)
	}
	return all
}

func TestAWorkspaceIsPromotedWithTheSecretsOfTheOther(t *testing.T) {
	slow(t)
	t.Setenv("STAGING", "secret-of-staging")
	p := startProcess(t, t.TempDir(), "--probe-interval=0s")
	store := []string{"--data", p.data}
	exit, out := tool(t, append([]string{"import", "--workspace=staging", "--apply", file(t, stagingFile)}, store...)...)
	require.Zero(t, exit, out)
	promote := func(args ...string) (int, workspacefile.Plan, string) {
		return promotion(t, append(append(args, "--to=production"), store...)...)
	}

	exit, plan, out := promote("staging", "--apply")
	require.Equal(t, 1, exit)
	var missing []string
	for _, s := range plan.Steps {
		for _, problem := range s.Problems {
			missing = append(missing, s.Name+problem.Pointer)
		}
	}
	require.ElementsMatch(t, []string{
		"crm/auth/password_value", "crm/headers/X-Tenant", "crm/endpoints/0/auth/bearer_token_value", "tools/mcp_headers/x-key",
	}, missing, "every secret that is missing, also one that is optional: %s", out)
	require.False(t, plan.Applied)
	p.must(http.StatusNotFound, http.MethodGet, "/v1/production/integrations/ehr", "")

	with := "--with=" + file(t, productionFile)
	exit, _, out = promote("staging", with, "--apply")
	require.Equal(t, 1, exit)
	require.Contains(t, out, "crm /auth/password_value: the environment has no CRM_PASSWORD")
	require.Contains(t, out, "tools /mcp_headers/x-key: the environment has no TOOLS_KEY")
	for _, name := range []string{"CRM_PASSWORD", "CRM_TENANT", "CRM_TOKEN", "TOOLS_KEY"} {
		t.Setenv(name, "secret-"+name)
	}
	exit, plan, out = promote("staging", with)
	require.Zero(t, exit, out)
	require.Equal(t, []string{"create crm", "create ehr", "create tools"}, actions(plan))
	p.must(http.StatusNotFound, http.MethodGet, "/v1/production/integrations/ehr", "")
	exit, _, out = promote("staging", with, "--apply")
	require.Zero(t, exit, out)
	kept := []string{"keep crm", "keep ehr", "keep tools"}
	for _, again := range [][]string{{"staging", with, "--apply"}, {"staging", with}} {
		exit, plan, out = promote(again...)
		require.Zero(t, exit, out)
		require.Equal(t, kept, actions(plan), "it is idempotent")
	}
	exit, out = tool(t, append([]string{"diff", "staging", "production"}, store...)...)
	require.Equal(t, 1, exit)
	require.Equal(t, `crm differs
        /base_url: "https://staging.example.com" -> "https://crm.example.com"
0 only in staging, 0 only in production, 1 different, 2 the same; secrets are not compared
`, out)

	// Secrets that are there stay, without a mapping, as long as they go to the same place.
	exit, out = tool(t, append([]string{"import", "--workspace=staging", "--apply", file(t, strings.Replace(stagingFile, "display_name: EHR", "display_name: Records", 1))}, store...)...)
	require.Zero(t, exit, out)
	address := "--with=" + file(t, "integrations: [{name: crm, base_url: https://crm.example.com}]")
	exit, plan, out = promote("staging", address, "--apply")
	require.Zero(t, exit, out)
	require.Equal(t, []string{"keep crm", "change ehr", "keep tools"}, actions(plan))
	exit, _, out = promote("staging", "--apply")
	require.Equal(t, 1, exit, "the secrets of production don't go to the address of staging")
	require.Contains(t, out, "/auth/password_value")

	p.must(http.StatusCreated, http.MethodPost, "/v1/production/integrations", crm("old", "t"))
	exit, plan, out = promote("staging", with, "--delete-others")
	require.Zero(t, exit, out)
	require.Equal(t, append(kept, "delete old"), actions(plan))
	exit, out = tool(t, append([]string{"verify"}, store...)...)
	require.Zero(t, exit, out)
	require.NotContains(t, p.must(http.StatusOK, http.MethodGet, "/v1/production/integrations/crm/history", ""), "secret-")
}

func TestAFileOfAnotherServiceIsPromoted(t *testing.T) {
	slow(t)
	t.Setenv("STAGING", "secret-of-staging")
	there, here := []string{"--data", emptyData(t)}, []string{"--data", emptyData(t)}
	exit, out := tool(t, append([]string{"import", "--workspace=acme", "--apply", file(t, stagingFile)}, there...)...)
	require.Zero(t, exit, out)
	exit, text := tool(t, append([]string{"export", "--workspace=acme"}, there...)...)
	require.Zero(t, exit, text)
	exported := file(t, text)
	for _, name := range []string{"CRM_PASSWORD", "CRM_TENANT", "CRM_TOKEN", "TOOLS_KEY"} {
		t.Setenv(name, "secret-"+name)
	}
	exit, out = tool(t, append([]string{"diff", exported, "acme"}, here...)...)
	require.Equal(t, 1, exit)
	require.Contains(t, out, "3 only in "+exported)

	stdin, err := os.Open(exported)
	require.NoError(t, err)
	defer func(before *os.File) { os.Stdin = before }(os.Stdin)
	os.Stdin = stdin
	exit, out = tool(t, append([]string{"promote", "-", "--to=acme", "--apply", "--with", file(t, productionFile)}, here...)...)
	require.Zero(t, exit, out)
	require.Contains(t, out, "3 to create, 0 to change, 0 to delete, 0 unchanged\napplied")
	exit, out = tool(t, append([]string{"diff", "--json", exported, "acme"}, here...)...)
	require.Equal(t, 1, exit)
	require.JSONEq(t, `{"same": 2, "integrations": [{"name": "crm", "in": "both", "changed": [
		{"pointer": "/base_url", "old": "https://staging.example.com", "new": "https://crm.example.com", "secret": false}]}]}`, out)
	exit, out = tool(t, append([]string{"diff", exported, file(t, text)}, here...)...)
	require.Zero(t, exit, out)
}

const generatedFile = `integrations:
- name: ehr
  display_name: EHR
  base_url: https://ehr.example.com
  auth: {type: smart_backend_services, client_id: c, token_url: "https://ehr.example.com/token", private_key_generate: ES384}
`

func TestAKeyIsGeneratedByImportApplyAndPromote(t *testing.T) {
	in := []string{"--data", emptyData(t)}
	dir := folder(t, map[string]string{"acme.yaml": generatedFile, "globex.yaml": "integrations: [{name: crm, display_name: CRM, base_url: https://crm.example.com}]"})
	for _, args := range [][]string{
		{"apply", "-f", dir},
		{"promote", "acme", "--to=initech", "--apply"},
		{"import", "--workspace=umbrella", "--apply", file(t, generatedFile)},
	} {
		exit, out := tool(t, append(args, in...)...)
		require.Zero(t, exit, out)
		require.Contains(t, out, "create  ehr")
	}
	for _, same := range []string{"initech", "umbrella"} {
		exit, out := tool(t, append([]string{"diff", "acme", same}, in...)...)
		require.Zero(t, exit, out)
	}
	require.Contains(t, exported(t, append(in, "--workspace=globex")...), "crm", "the other file is applied too")
	exit, out := tool(t, append([]string{"verify"}, in...)...)
	require.Zero(t, exit, out)
}

func TestWhatCanNotBePromotedIsRefusedAtOnce(t *testing.T) {
	in := []string{"--data", emptyData(t)}
	for want, args := range map[string][]string{
		"the two workspaces are the same":         {"promote", "acme", "--to=acme"},
		"the two are the same":                    {"diff", "acme", "acme"},
		"a workspace id is 1 to 64":               {"promote", "acme", "--to=a.b"},
		`there is no integration "crm" to change`: {"promote", file(t, "integrations: []"), "--to=globex", "--with", file(t, productionFile)},
		"workspace acne has no events":            {"promote", "acne", "--to=globex", "--delete-others"},
		"only one of the two files":               {"promote", "-", "--to=globex", "--with=-"},
		`write {value: "${P1}"}`:                  {"promote", file(t, "integrations: [{name: crm, display_name: CRM, base_url: https://crm.example.com, headers: {X-A: '${P1}'}}]"), "--to=globex"},
		"no such file":                            {"diff", "acme", "./nowhere.yaml"},
	} {
		exit, out := tool(t, append(args, in...)...)
		require.Equal(t, 1, exit, fmt.Sprint(args))
		require.Contains(t, out, want)
	}
}
