package connectors

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/peers"
	"github.com/seed677028b5/integrations/vault"
)

// consents returns authorizations over a NATS of this process, which end with it.
func consents(ctx context.Context, r *Registry) (*authorizations.Authorizations, *vault.Vault, error) {
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		return nil, nil, err
	}
	srv, err := server.NewServer(&server.Options{JetStream: true, StoreDir: dir, DontListen: true, NoSigs: true, NoLog: true})
	if err != nil {
		return nil, nil, err
	}
	go srv.Start()
	if !srv.ReadyForConnections(20 * time.Second) {
		return nil, nil, errors.New("NATS did not start")
	}
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	if err != nil {
		return nil, nil, err
	}
	v, err := vault.Open(ctx, nc, vault.RootKeys{File: filepath.Join(dir, "root.keyset")}, 1)
	if err != nil {
		return nil, nil, err
	}
	events, err := eventstore.Open(ctx, nc, eventstore.Config{AllowLazySync: true})
	if err != nil {
		return nil, nil, err
	}
	a, err := authorizations.Open(ctx, nc, authorizations.Config{Events: events, Vault: v, Upstream: r, Now: time.Now, NewID: rand.Text, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		a.SetPublicURL("http://127.0.0.1:8080")
	}
	return a, v, err
}

// signingIn is what a scenario of auth needs.
type signingIn struct {
	authorizations *authorizations.Authorizations
	vault          *vault.Vault
	integration    domain.Integration
}

func (s signingIn) use() authorizations.Use {
	return authorizations.Use{Integration: s.integration, Keyring: s.open}
}

func (s signingIn) open(ctx context.Context, ref domain.SecretRef) (domain.Secret, error) {
	if domain.IsSignedInRef(ref) {
		opened, err := s.authorizations.SignedIn(ctx, s.use(), ref)
		if err != nil {
			return domain.Secret{}, err
		}
		return opened.Secret()
	}
	return s.vault.Open(ctx, s.integration.Owner(), ref)
}

func (s signingIn) find(context.Context, domain.Workspace, domain.ID) (authorizations.Use, error) {
	return s.use(), nil
}

// consent has a person consent who says yes to everything.
func (s signingIn) consent(ctx context.Context) error {
	started, err := s.authorizations.Start(ctx, s.use(), authorizations.Start{By: "conformance"})
	if err != nil {
		return fmt.Errorf("%w: %v", err, started.Steps)
	}
	link := started.URL[strings.LastIndex(started.URL, "/")+1:]
	to, cookie, err := s.authorizations.Continue(ctx, link, "", s.find)
	if err != nil {
		return err
	}
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := browser.Get(to)
	if err != nil {
		return err
	}
	text, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	back, err := resp.Location()
	if err != nil {
		return fmt.Errorf("the authorization server answered %d: %s", resp.StatusCode, text)
	}
	out, err := s.authorizations.Callback(ctx, authorizations.Return{Path: back.Path, Query: back.Query(), Cookie: func(string) string { return cookie }}, s.find)
	if err == nil && out.State != authorizations.Succeeded {
		err = errors.New(out.Sentence)
	}
	return err
}

// maxConsents is how often a person is asked for more.
const maxConsents = 2

// given replaces each text <name> in v by what the suite gives the client under that name.
func given(v any, context map[string]any) any {
	switch v := v.(type) {
	case members:
		filled := members{}
		for name, value := range v {
			filled[name] = given(value, context)
		}
		return filled
	case string:
		if name, ok := strings.CutPrefix(strings.TrimSuffix(v, ">"), "<"); ok {
			return context[name]
		}
	}
	return v
}

// integrationOf returns the integration of a scenario, with its secrets sealed.
func integrationOf(ctx context.Context, r *Registry, s signIn, at string) (signingIn, error) {
	auth, context := members{"type": "oauth2_authorization_code"}, map[string]any{}
	if text := os.Getenv("MCP_CONFORMANCE_CONTEXT"); text != "" {
		if err := json.Unmarshal([]byte(text), &context); err != nil {
			return signingIn{}, err
		}
	}
	for name, value := range s.auth {
		auth[name] = given(value, context)
	}
	a, v, err := consents(ctx, r)
	if err != nil {
		return signingIn{}, err
	}
	d, err := domain.Integration{}.Create("acme", domain.Document{
		"name": "tools", "display_name": "Tools", "protocol": "mcp", "mcp_transport": "http", "mcp_url": at, "auth": auth,
	}, domain.Attempt{At: time.Now(), ID: "a"}, r.Rules())
	if err != nil {
		return signingIn{}, err
	}
	i := domain.Evolve(domain.Integration{}, d.Event)
	for _, secret := range d.Seal {
		if err := v.Seal(ctx, i.Owner(), secret); err != nil {
			return signingIn{}, err
		}
	}
	return signingIn{authorizations: a, vault: v, integration: i}, nil
}

// conformAuth calls a tool, and has a person consent whenever that is what is missing. It
// writes what the last call came to.
func conformAuth(out io.Writer, name, at string) error {
	s, ok := signIns[name]
	if !ok {
		return fmt.Errorf("there is no scenario %q", name)
	}
	r, err := New(Config{AllowLoopback: true})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), suitePatience)
	defer cancel()
	signing, err := integrationOf(ctx, r, s, at)
	if err != nil {
		return err
	}
	wanted, succeeded, asked, missing := max(s.calls, 1), 0, 0, signing.integration.Consents()
	for {
		if missing {
			if asked++; asked > maxConsents {
				_, err = fmt.Fprint(out, "A person was asked twice.")
				return err
			}
			if err := signing.consent(ctx); err != nil {
				_, err = fmt.Fprint(out, err)
				return err
			}
		}
		result, err := r.Call(ctx, domain.Call{
			Integration: signing.integration, Endpoint: domain.Endpoint{Name: "test-tool"}, Params: map[string]any{}, Keyring: signing.open,
		})
		if err != nil {
			return err
		}
		challenge, _ := url.QueryUnescape(strings.Join(result.ResponseHeaders.Values("Www-Authenticate"), ", "))
		_, scope, more := strings.Cut(challenge, `scope="`)
		scope, _, _ = strings.Cut(scope, `"`)
		switch missing = false; {
		case result.Error == "":
			if succeeded++; succeeded < wanted {
				continue
			}
		case result.ErrorCode == domain.CallAuthorizationRequired:
			missing = true
			continue
		case result.StatusCode == http.StatusForbidden && more && signing.integration.Consents():
			missing = true
			if err := signing.authorizations.StepUp(ctx, signing.use(), strings.Fields(scope)); err != nil {
				return err
			}
			continue
		}
		_, err = fmt.Fprint(out, result.FinalResult, result.Error)
		return err
	}
}

// suitePatience bounds a scenario: the scenarios of a suite run at once.
const suitePatience = 100 * time.Second

// suites are the versions of the suite whose scenarios are run, by their folders. A scenario
// that a newer one has is run in that one alone; with MCP_CONFORMANCE_ALL in each.
var suites = []string{"conformance-next", "@modelcontextprotocol/conformance"}

// suiteOf returns a command of a version of the suite.
func suiteOf(t *testing.T, version string, args ...string) *exec.Cmd {
	t.Helper()
	program := filepath.Join(peers.Dir(t), "node_modules", filepath.FromSlash(version), "dist", "index.js")
	return exec.CommandContext(t.Context(), peers.Node(t), append([]string{program}, args...)...)
}

// signInsOf returns the scenarios of a version of the suite in which a client signs in.
func signInsOf(t *testing.T, version string) []string {
	t.Helper()
	out, err := suiteOf(t, version, "list", "--client").Output()
	require.NoError(t, err)
	var names []string
	for line := range strings.Lines(string(out)) {
		if listed, isOne := strings.CutPrefix(strings.TrimSpace(line), "- auth/"); isOne {
			name, _, _ := strings.Cut(listed, " ")
			names = append(names, "auth/"+name)
		}
	}
	return names
}

func TestMCPConformanceASignInPasses(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	seen := map[string]bool{}
	running := make(chan struct{}, 4) // at once, by all versions
	for _, version := range suites {
		for _, name := range signInsOf(t, version) {
			s, holds := signIns[name]
			_, fails := notSignIns[name]
			require.NotEqual(t, holds, fails, "%s must be in one of the tables", name)
			if fails || seen[name] && os.Getenv("MCP_CONFORMANCE_ALL") == "" {
				seen[name] = true
				continue
			}
			seen[name] = true
			t.Run(path.Join(path.Base(version), strings.TrimPrefix(name, "auth/")), func(t *testing.T) {
				t.Parallel()
				running <- struct{}{}
				defer func() { <-running }()
				results := t.TempDir()
				cmd := suiteOf(t, version, "client", "--command", `"$CONFORMANCE_CLIENT"`, "--scenario", name, "--output-dir", results, "--timeout", "120000")
				cmd.Env = append(os.Environ(), asConformanceClient+"=1", "CONFORMANCE_CLIENT="+self)
				output, _ := cmd.CombinedOutput() // its output has all that its exit status has
				require.Contains(t, string(resultOf(t, results, "stdout.txt")), cmp.Or(s.comes, "test"), "%s", output)
				passed(t, resultOf(t, results, "checks.json"), "")
			})
		}
	}
	for name := range signIns {
		require.True(t, seen[name], "%s is no scenario any more", name)
	}
	for name := range notSignIns {
		require.True(t, seen[name], "%s is no scenario any more", name)
	}
}

func TestMCPConformanceSignInsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "mcp-conformance.md"))
	require.NoError(t, err)
	var rows strings.Builder
	for _, name := range slices.Sorted(maps.Keys(signIns)) {
		fmt.Fprintf(&rows, "| `%s` | passes | %s |\n", name, signIns[name].shows)
	}
	for _, name := range slices.Sorted(maps.Keys(notSignIns)) {
		fmt.Fprintf(&rows, "| `%s` | left out | %s |\n", name, notSignIns[name])
	}
	require.Contains(t, string(text), "|---|---|---|\n"+rows.String()+"\n")
}
