package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/connectors/sandbox"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/workspacefile"
)

const everyKind = `
- name: everything
  display_name: "Everything: yes"
  base_url: https://api.example.com/v2
  enabled: false
  auth: {type: api_key_header, header_name: X-Token, api_key_value: "${KEY_OF_A}"}
  health_check: {method: HEAD, path: /up, expect_status: 204, interval_seconds: 60}
  endpoints:
    - name: list_slots
      description: "List slots.\nOf a clinic."
      path: /clinics/{clinic}/slots
      headers: {Accept-Language: en, X-Numbers: "007", X-Yes: "true", X-Day: "2026-05-06"}
      input_schema: {type: object, properties: {clinic: {type: string, default: "null"}, n: {type: number, maximum: 1.5e3}}, required: [clinic]}
      auth: {type: oauth2_client_credentials, client_id: c, client_secret_value: "${KEY_OF_A}", token_url: https://id.example.com/token}
      result_template: "${NOT_A_SECRET}"
      retry_config: {max_retries: 0x1, retry_on_status: [503]}
- name: tools
  display_name: Tools
  protocol: mcp
  mcp_transport: http
  mcp_url: https://mcp.example.com/mcp
  mcp_headers: {X-Key: "${KEY_OF_A}"}
- name: basic
  display_name: Basic
  base_url: https://b.example.com
  auth: {username: u, password_value: {value: "${KEY_OF_B}"}, type: basic}
`

// file writes a file for import.
func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "integrations.yaml")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

// plans runs import with --json, and returns what becomes of each integration.
func plans(t *testing.T, args ...string) (exit int, actions map[string]string, p workspacefile.Plan) {
	t.Helper()
	exit, out := tool(t, append([]string{"import", "--json"}, args...)...)
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "{") {
			require.NoError(t, json.Unmarshal([]byte(line), &p), out)
		}
	}
	actions = map[string]string{}
	for _, s := range p.Steps {
		actions[s.Name] = string(s.Action)
	}
	return exit, actions, p
}

func exported(t *testing.T, args ...string) string {
	t.Helper()
	exit, out := tool(t, append([]string{"export"}, args...)...)
	require.Zero(t, exit, out)
	_, text, _ := strings.Cut(out, "\nintegrations:")
	return "integrations:" + text
}

// stores are where the tools find a log: beside a service, without one, and in a
// NATS server of others.
func stores(t *testing.T) map[string][]string {
	t.Helper()
	running, stopped, keyset := t.TempDir(), t.TempDir(), t.TempDir()
	startProcess(t, running)
	address, monitor := natstest.ListenMonitored(t, true)
	startProcess(t, keyset, "--nats-url", address, "--nats-monitor-url", monitor)
	require.Zero(t, startProcess(t, stopped).stop())
	return map[string][]string{
		"running": {"--data", running}, "stopped": {"--data", stopped}, "nats": {"--data", keyset, "--nats-url", address, "--nats-monitor-url", monitor},
	}
}

func TestWhatIsExportedIsImportedAgain(t *testing.T) {
	t.Setenv("KEY_OF_A", "planted-secret-a")
	t.Setenv("KEY_OF_B", "planted-secret-b")
	for name, store := range stores(t) {
		t.Run(name, func(t *testing.T) {
			in := func(w string, args ...string) []string {
				return append(append([]string{"--workspace", w}, store...), args...)
			}
			first := file(t, "integrations:"+everyKind)
			exit, actions, _ := plans(t, in("acme", first)...)
			require.Zero(t, exit)
			require.Equal(t, map[string]string{"everything": "create", "tools": "create", "basic": "create"}, actions)
			require.Equal(t, "integrations: []\n", exported(t, in("acme")...), "a plan writes nothing")
			exit, out := tool(t, append([]string{"import", "--apply"}, in("acme", first)...)...)
			require.Zero(t, exit, out)
			require.NotContains(t, out, "warning")

			text := exported(t, in("acme")...)
			require.NotContains(t, text, "planted")
			require.Less(t, strings.Index(text, "name: basic"), strings.Index(text, "name: everything"))
			kept := map[string]string{"everything": "keep", "tools": "keep", "basic": "keep"}
			_, actions, _ = plans(t, in("acme", first)...)
			require.Equal(t, kept, actions, "its secrets are those that are there")
			_, actions, _ = plans(t, in("acme", file(t, text))...)
			require.Equal(t, kept, actions, "without its secrets as well")

			with := text
			for _, field := range []string{"api_key_value", "client_secret_value", "password_value"} {
				with = withSecret(with, field, "${KEY_OF_A}")
			}
			with = strings.Replace(with, "x-key: null", "x-key: ${KEY_OF_A}", 1)
			exit, out = tool(t, append([]string{"import", "--apply"}, in("globex", file(t, with))...)...)
			require.Zero(t, exit, out)
			require.Equal(t, text, exported(t, in("globex")...))
			exit, out = tool(t, append([]string{"verify"}, store...)...)
			require.Zero(t, exit, out)
		})
	}
}

// withSecret gives a secret where the file comments that it is not shown.
func withSecret(text, field, value string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, line)
		if strings.Contains(line, "# "+field+" is not shown") {
			blanks := line[:len(line)-len(strings.TrimLeft(line, " "))]
			lines = append(lines, blanks+field+": "+value+"\n")
		}
	}
	return strings.Join(lines, "")
}

const twoOfThem = `
integrations:
- name: crm
  display_name: CRM
  base_url: https://crm.example.com
  auth: {type: bearer_token, bearer_token_value: "${CRM_TOKEN}"}
- {name: ehr, display_name: EHR, base_url: https://ehr.example.com}
`

func TestAPlanTellsWhatWouldChange(t *testing.T) {
	t.Setenv("CRM_TOKEN", "t1")
	data := t.TempDir()
	p := startProcess(t, data)
	p.must(http.StatusCreated, http.MethodPost, all, crm("crm", "t1"))
	p.must(http.StatusCreated, http.MethodPost, all, crm("old", "t"))
	in := []string{"--data", data, "--workspace", "acme"}

	exit, out := tool(t, append([]string{"import", file(t, strings.Replace(twoOfThem, "display_name: CRM", "display_name: Contacts", 1))}, in...)...)
	require.Zero(t, exit, out)
	require.Equal(t, `change  crm
        /display_name: "CRM" -> "Contacts"
create  ehr
1 to create, 1 to change, 0 to delete, 0 unchanged
nothing was written; run again with --apply to apply the plan
`, out)
	_, actions, _ := plans(t, append(in, file(t, twoOfThem), "--delete-others")...)
	require.Equal(t, map[string]string{"crm": "keep", "ehr": "create", "old": "delete"}, actions)

	t.Setenv("CRM_TOKEN", "t2")
	_, _, decided := plans(t, append(in, file(t, twoOfThem))...)
	require.True(t, decided.Steps[0].Changed[0].Secret, "another secret is a change")
	exit, out = tool(t, append([]string{"import", file(t, twoOfThem), "--delete-others", "--apply"}, in...)...)
	require.Zero(t, exit, out)
	p.must(http.StatusNotFound, http.MethodGet, all+"/old", "")
	require.Contains(t, p.must(http.StatusOK, http.MethodGet, all+"/crm/history", ""), `"actor":"operator-cli"`)
	_, actions, _ = plans(t, append(in, file(t, twoOfThem), "--delete-others")...)
	require.Equal(t, map[string]string{"crm": "keep", "ehr": "keep"}, actions)
	exit, out = tool(t, "verify", "--data", data)
	require.Zero(t, exit, out)
}

func TestAnIntegrationThatChangedSinceThePlanIsNotOverwritten(t *testing.T) {
	data := t.TempDir()
	p := startProcess(t, data)
	p.must(http.StatusCreated, http.MethodPost, all, crm("crm", "t"))
	c := importCommand{Workspace: "acme", Apply: true, storeFlags: storeFlags{Data: data, Replicas: 1}}
	s := console{ctx: t.Context(), out: t.Output(), err: t.Output(), log: newLogger(t.Output(), "text", 0)}
	wanted, err := workspacefile.Parse([]byte("integrations: [{name: crm, display_name: Mine, base_url: https://crm.example.com}, {name: new, display_name: New, base_url: https://crm.example.com}]"))
	require.NoError(t, err)
	conn, service, err := openCommands(s, c.profileFlags, c.storeFlags, true)
	require.NoError(t, err)
	defer conn.Close()
	plan, err := workspacefile.NewPlan(t.Context(), service, commands.Caller{Workspace: "acme", Actor: "operator-cli"}, wanted, false)
	require.NoError(t, err)
	require.False(t, plan.Refused())

	p.must(http.StatusOK, http.MethodPut, all+"/crm", `{"display_name": "Theirs"}`)
	plan.Apply(t.Context())
	require.Contains(t, plan.Steps[0].Refusal, "now at version 2")
	require.True(t, plan.Steps[1].Done, "the others are applied")
	require.Contains(t, p.must(http.StatusOK, http.MethodGet, all+"/crm", ""), `"display_name":"Theirs"`)
}

func TestARefusalTellsPointerAndLineAndNothingIsDone(t *testing.T) {
	data := emptyData(t)
	exit, out := tool(t, "import", "--data", data, "--workspace", "acme", "--apply", file(t, `integrations:
- name: crm
  display_name: CRM
  base_url: https://crm.example.com
- name: ehr
  display_name: EHR
  base_url: https://ehr.example.com
  auth:
    type: bearer_token
  endpoints:
  - name: read
    description: Read.
    pathh: /x
- name: google-maps
  display_name: Mine
  base_url: https://ehr.example.com
- name: files
  display_name: Files
  protocol: mcp
  mcp_transport: stdio
  mcp_command: files
`))
	require.Equal(t, 1, exit, out)
	require.Contains(t, out, "line 13, /endpoints/0/pathh: ")
	require.Contains(t, out, "line 8, /auth/bearer_token_value: ")
	require.Contains(t, out, "line 14, /name: ")
	require.Contains(t, out, "line 20, /mcp_transport: ")
	require.Contains(t, out, "nothing was written")
	require.Equal(t, "integrations: []\n", exported(t, "--data", data, "--workspace", "acme"))
}

func TestASecretIsReadFromTheEnvironmentOrWarnedOf(t *testing.T) {
	data := emptyData(t)
	in := []string{"import", "--data", data, "--workspace", "acme", "--apply"}
	exit, out := tool(t, append(in, file(t, twoOfThem))...)
	require.Equal(t, 1, exit)
	require.Contains(t, out, "line 6: crm /auth/bearer_token_value: the environment has no CRM_TOKEN")
	require.Equal(t, "integrations: []\n", exported(t, "--data", data, "--workspace", "acme"))

	exit, out = tool(t, append(in, file(t, strings.Replace(twoOfThem, "${CRM_TOKEN}", "planted ${CRM_TOKEN}", 1)))...)
	require.Zero(t, exit, out)
	require.Regexp(t, `warning: \S+: line 6: crm /auth/bearer_token_value is a secret`, out)
	require.NotContains(t, out, "planted")
}

func TestAProgramIsImportedAsTheProfilesAllow(t *testing.T) {
	slow(t)
	if _, err := sandbox.Find(); err != nil {
		t.Skip("NOT TESTED: " + err.Error())
	}
	in := []string{"--data", emptyData(t), "--workspace", "acme", profiles(t, sleeping)}
	const sleeper = "integrations: [{name: sleeper, display_name: S, protocol: mcp, mcp_transport: stdio, mcp_command: sleeper, mcp_args: ['%s']}]"
	exit, out := tool(t, append([]string{"import", "--apply", file(t, fmt.Sprintf(sleeper, "1"))}, in...)...)
	require.Zero(t, exit, out)
	_, actions, _ := plans(t, append(in, file(t, exported(t, in[:4]...)))...)
	require.Equal(t, map[string]string{"sleeper": "keep"}, actions)
	exit, out = tool(t, append([]string{"import", file(t, fmt.Sprintf(sleeper, "x"))}, in...)...)
	require.Equal(t, 1, exit, out)
	require.Contains(t, out, "/mcp_args/0: does not match")
}
