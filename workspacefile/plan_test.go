package workspacefile_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/connectors"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/vault"
	"github.com/seed677028b5/integrations/workspacefile"
)

func open(t *testing.T) *commands.Service {
	t.Helper()
	nc, log := natstest.Connect(t), slog.New(slog.DiscardHandler)
	events, err := eventstore.Open(t.Context(), nc, eventstore.Config{Durable: func(context.Context) (bool, error) { return true, nil }})
	require.NoError(t, err)
	secrets, err := vault.Open(t.Context(), nc, vault.RootKeys{File: filepath.Join(t.TempDir(), "root.keyset")}, 1)
	require.NoError(t, err)
	now := func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
	return &commands.Service{Events: events, Vault: secrets, Rules: connectors.Rules(), PublicKey: connectors.PublicKey, GenerateKey: connectors.GenerateKey, Now: now, NewID: rand.Text, Log: log}
}

func caller(workspace string) commands.Caller {
	return commands.Caller{Workspace: domain.Workspace(workspace), Actor: "operator-cli"}
}

// plan plans a workspace to be as a file whose secrets are all s3cret.
func plan(t *testing.T, s *commands.Service, workspace string, wanted []workspacefile.Entry) *workspacefile.Plan {
	t.Helper()
	for _, e := range wanted {
		missing, _ := e.ExpandSecrets(func(string) (string, bool) { return "s3cret", true })
		require.Empty(t, missing)
	}
	p, err := workspacefile.NewPlan(t.Context(), s, caller(workspace), wanted, false)
	require.NoError(t, err)
	return p
}

// fill makes a workspace as a file is.
func fill(t *testing.T, s *commands.Service, workspace, text string) {
	t.Helper()
	p := plan(t, s, workspace, parse(t, text))
	p.Apply(t.Context())
	require.False(t, p.Failed(), shown(t, p))
}

func shown(t *testing.T, p *workspacefile.Plan) string {
	t.Helper()
	var text strings.Builder
	require.NoError(t, p.WriteText(&text, "run again with --yes"))
	return text.String()
}

func contents(t *testing.T, s *commands.Service, workspace string) workspacefile.Contents {
	t.Helper()
	c, err := workspacefile.Read(t.Context(), s.Events, caller(workspace).Workspace)
	require.NoError(t, err)
	return c
}

const (
	basic    = `{type: basic, username: u, password_value: "${P}"}`
	digest   = `{type: digest, username: u, password_value: "${P}"}`
	code     = `{type: oauth2_authorization_code, registration: pre_registered, client_id: c, client_secret_value: "${P}", authorization_url: "https://id.example.com/a", token_url: "https://id.example.com/t"}`
	exchange = `{type: json_token_exchange, client_id: c, token_url: "https://id.example.com/t", client_secret_value: "${P}"}`
	params   = `{type: oauth2_client_credentials, client_id: c, token_url: "https://id.example.com/t", client_secret_value: "${P}", token_params: {pin: {value: "${P}"}}}`
)

func TestASecretThatTheTypeOfAnAuthDestroysIsMissedAndNamed(t *testing.T) {
	s := open(t)
	const at = "integrations: [{name: crm, display_name: CRM, base_url: https://crm.example.com, endpoints: [{name: list, description: Lists., path: /a, auth: AUTH}]}]"
	const whole = "integrations: [{name: crm, display_name: CRM, base_url: https://crm.example.com, auth: AUTH}]"
	for n, test := range []struct {
		file, source, target string
		missing, optional    string
	}{
		{whole, basic, digest, "/auth/password_value", ", or an empty string for none"},
		{whole, digest, basic, "/auth/password_value", ""},
		{at, basic, digest, "/endpoints/0/auth/password_value", ", or an empty string for none"},
		{whole, code, exchange, "/auth/client_secret_value", ", or an empty string for none"},
		{whole, params, exchange, "/auth/token_params/pin", ""},
	} {
		source, target := "source"+string(rune('a'+n)), "target"+string(rune('a'+n))
		fill(t, s, source, strings.ReplaceAll(test.file, "AUTH", test.source))
		fill(t, s, target, strings.ReplaceAll(test.file, "AUTH", test.target))
		p := plan(t, s, target, contents(t, s, source).Entries())
		require.True(t, p.Refused(), test.source)
		found := map[string]string{}
		for _, problem := range p.Steps[0].Problems {
			found[problem.Pointer] = problem.Detail
		}
		require.Contains(t, found, test.missing, test.source)
		if test.optional != "" {
			require.Equal(t, "is a secret, which is never copied: give it"+test.optional, found[test.missing])
		}
	}
	// An optional one is left out, which destroys the one that is there.
	without := parse(t, `integrations: [{name: crm, auth: {password_value: ""}}]`)
	wanted, err := workspacefile.Overlay(contents(t, s, "sourcea").Entries(), without)
	require.NoError(t, err)
	p := plan(t, s, "targeta", wanted)
	require.False(t, p.Refused(), shown(t, p))
	require.Equal(t, []string{"/auth/password_value"}, p.Steps[0].Lost)
	require.Contains(t, shown(t, p), "/auth/password_value: the secret that is there is destroyed")

	// One that is given instead is not lost, and one that stays is neither missing nor lost.
	wanted, err = workspacefile.Overlay(contents(t, s, "sourcea").Entries(), parse(t, `integrations: [{name: crm, auth: {password_value: "${P}"}}]`))
	require.NoError(t, err)
	p = plan(t, s, "targeta", wanted)
	require.False(t, p.Refused(), shown(t, p))
	require.Empty(t, p.Steps[0].Lost)
	p.Apply(t.Context())
	require.Equal(t, "auth.password_value", contents(t, s, "targeta").ByName["crm"].Secrets()[0].Field)
	p = plan(t, s, "targeta", contents(t, s, "sourcea").Entries())
	require.False(t, p.Refused(), shown(t, p))
	require.Equal(t, workspacefile.Keep, p.Steps[0].Action)
	require.Empty(t, p.Steps[0].Lost)
	deleting, err := workspacefile.NewPlan(t.Context(), s, caller("targeta"), nil, true)
	require.NoError(t, err)
	require.Equal(t, []string{"/auth/password_value"}, deleting.Steps[0].Lost)
}

func TestAKeyThatIsGeneratedStaysAndIsGeneratedForEachWorkspace(t *testing.T) {
	s := open(t)
	const generated = `{type: smart_backend_services, client_id: c, token_url: "https://id.example.com/t", private_key_generate: ES384}`
	fill(t, s, "source", strings.ReplaceAll("integrations: [{name: crm, display_name: CRM, base_url: https://crm.example.com, auth: AUTH}]", "AUTH", generated))
	p := plan(t, s, "target", contents(t, s, "source").Entries())
	require.False(t, p.Refused(), shown(t, p))
	p.Apply(t.Context())
	require.NotEqual(t, contents(t, s, "source").ByName["crm"].Auth.SigningKeys[0].ID, contents(t, s, "target").ByName["crm"].Auth.SigningKeys[0].ID)
	p = plan(t, s, "target", contents(t, s, "source").Entries())
	require.Equal(t, workspacefile.Keep, p.Steps[0].Action)

	wanted, err := workspacefile.Overlay(contents(t, s, "source").Entries(), parse(t, `integrations: [{name: crm, auth: {type: bearer_token, bearer_token_value: "${P}"}}]`))
	require.NoError(t, err)
	p = plan(t, s, "target", wanted)
	require.False(t, p.Refused(), shown(t, p))
	require.Equal(t, []string{"/auth/private_key_value"}, p.Steps[0].Lost)
}

func TestASecretHeaderIsNeitherReplacedByAVariableNorCalledTheSameAsNone(t *testing.T) {
	s := open(t)
	const file = "integrations: [{name: crm, display_name: CRM, base_url: https://crm.example.com, headers: HEADERS}]"
	fill(t, s, "source", strings.Replace(file, "HEADERS", `{X-A: {value: "${P}"}}`, 1))
	fill(t, s, "target", strings.Replace(file, "HEADERS", "{}", 1))
	d := workspacefile.Compare(contents(t, s, "source").Entries(), contents(t, s, "target").Entries())
	require.Zero(t, d.Same)
	require.Equal(t, "/headers", d.Integrations[0].Changed[0].Pointer)

	overlaid, err := workspacefile.Overlay(contents(t, s, "source").Entries(), parse(t, `integrations: [{name: crm, headers: {X-A: "2"}}]`))
	require.NoError(t, err)
	p := plan(t, s, "target", overlaid)
	require.True(t, p.Refused())
	require.Contains(t, shown(t, p), "/headers/X-A: is a secret where it comes from, and a text here: write {value: ${NAME}}")
	p = plan(t, s, "source", parse(t, strings.Replace(file, "HEADERS", `{X-A: "2"}`, 1)))
	require.False(t, p.Refused(), "a file has no secrets to expect")
	require.Equal(t, []string{"/headers/X-A"}, p.Steps[0].Lost)
	p = plan(t, s, "target", contents(t, s, "source").Entries())
	require.True(t, p.Refused())
	require.Contains(t, shown(t, p), "/headers/X-A: must be a text, or a secret like")
}

func TestAHeaderOfAnMCPServerIsPromotedWhateverItsName(t *testing.T) {
	s := open(t)
	fill(t, s, "source", `integrations: [{name: tools, display_name: Tools, protocol: mcp, mcp_transport: http, mcp_url: "https://mcp.example.com/mcp", mcp_headers: {X~Key: "${P}"}}]`)
	p := plan(t, s, "target", contents(t, s, "source").Entries())
	require.Equal(t, "/mcp_headers/x~0key", p.Steps[0].Problems[0].Pointer)
	wanted, err := workspacefile.Overlay(contents(t, s, "source").Entries(), parse(t, `integrations: [{name: tools, mcp_headers: {x~key: "${P}"}}]`))
	require.NoError(t, err)
	p = plan(t, s, "target", wanted)
	p.Apply(t.Context())
	require.False(t, p.Failed(), shown(t, p))
}

func TestAWorkspaceThatNeverWasIsNotAnEmptyOne(t *testing.T) {
	s := open(t)
	require.False(t, contents(t, s, "nowhere").Known)
	fill(t, s, "acme", "integrations: [{name: crm, display_name: CRM, base_url: https://crm.example.com}]")
	p, err := workspacefile.NewPlan(t.Context(), s, caller("acme"), nil, true)
	require.NoError(t, err)
	p.Apply(t.Context())
	require.False(t, p.Failed(), shown(t, p))
	require.Empty(t, contents(t, s, "acme").ByName)
	require.True(t, contents(t, s, "acme").Known)
}

func TestAnInterruptionIsShownOnce(t *testing.T) {
	s := open(t)
	const file = "integrations: [{name: crm, display_name: NAME, base_url: https://crm.example.com}, {name: ehr, display_name: EHR, base_url: https://ehr.example.com}, {name: lab, display_name: NAME, base_url: https://lab.example.com}]"
	fill(t, s, "acme", file)
	p := plan(t, s, "acme", parse(t, strings.ReplaceAll(file, "NAME", "Other")))
	ctx, stop := context.WithCancel(t.Context())
	stop()
	p.Apply(ctx)
	require.True(t, p.Failed())
	require.False(t, p.Refused())
	require.Equal(t, "0 to create, 2 to change, 0 to delete, 1 unchanged\ninterrupted: 2 steps remain; run again to apply them\n", shown(t, p))
	require.Equal(t, "NAME", contents(t, s, "acme").ByName["crm"].DisplayName)
}
