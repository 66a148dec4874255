package transport_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/internal/peers"
	"github.com/seed677028b5/integrations/transport"
)

// conformant starts the server with which the official Go SDK passes the conformance suite of the
// MCP project, and returns its URL. It has the tools, resources and prompts that the suite asks for.
func conformant(t *testing.T) string {
	t.Helper()
	program := peers.BuildPackage(t, "github.com/modelcontextprotocol/go-sdk/conformance/everything-server")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	require.NoError(t, free.Close())
	cmd := exec.CommandContext(t.Context(), program, "-http", address)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, 60*time.Second, 10*time.Millisecond)
	return "http://" + address + "/mcp"
}

// throughWorkspace returns a URL at which a workspace serves an MCP server under its own names, to
// clients that have no key.
func throughWorkspace(t *testing.T, upstream string) string {
	t.Helper()
	s := serve(t, func(set *settings) {
		set.adjust = func(api *transport.Server) { api.Hosts = []string{"127.0.0.1", "localhost"} }
	})
	s.create(members{"name": "conformance", "display_name": "Conformance", "protocol": "mcp", "mcp_transport": "http", "mcp_url": upstream})
	found := s.post("/integrations/conformance/discover", members{}).is(200)
	s.put("/integrations/conformance", members{"endpoints": found.at("endpoints")}).is(200)
	key := s.issue("acme", access.Invoke)
	target, err := url.Parse(s.url)
	require.NoError(t, err)
	return listen(t, (&httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
		r.Out.URL.Path, r.Out.URL.RawQuery = "/v1/acme/mcp/conformance", "names=own"
		r.Out.Header.Set("Authorization", "Bearer "+key)
	}}).ServeHTTP).url
}

// suite runs scenarios of a version of the suite against a server, and returns the checks of each
// that failed.
func suite(t *testing.T, version, at string, args ...string) map[string][]string {
	t.Helper()
	results := t.TempDir()
	program := filepath.Join(peers.Dir(t), "node_modules", version, "dist", "index.js")
	cmd := exec.CommandContext(t.Context(), peers.Node(t), append([]string{program, "server", "--url", at, "--output-dir", results}, args...)...)
	output, _ := cmd.CombinedOutput() // its files have all that its exit status has
	failed := map[string][]string{}
	files, err := filepath.Glob(filepath.Join(results, "*", "checks.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "%s", output)
	for _, file := range files {
		name := strings.TrimPrefix(filepath.Base(filepath.Dir(file)), "server-")
		if at := strings.Index(name, "-2026-"); at > 0 && strings.HasSuffix(name, "Z") {
			name = name[:at]
		}
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		var checks []struct{ ID, Status, Description, ErrorMessage string }
		require.NoError(t, json.Unmarshal(content, &checks))
		failed[name] = []string{}
		for _, c := range checks {
			if c.Status == "FAILURE" {
				failed[name] = append(failed[name], fmt.Sprintf("%s: %s", c.ID, c.ErrorMessage))
			}
		}
	}
	return failed
}

// suites are the versions of the suite that a workspace is held to, and what runs of each.
var suites = []struct {
	title   string
	version string // of the packages of test/peers
	args    []string
}{
	{"0.1.16", "@modelcontextprotocol/conformance", nil},
	{"0.2.0-alpha.12, 2025-11-25", "conformance-next", []string{"--requirements", "2025-11-25"}},
	{"0.2.0-alpha.12, 2026-07-28", "conformance-next", []string{"--requirements", "2026-07-28"}},
}

const (
	asksNobody  = "Upstreams are offered no elicitation, no sampling and no roots: nobody behind a workspace could answer them. A tool or a prompt that asks for one does not get it."
	noTasks     = "Tasks, an extension, are not offered."
	noFollowing = "Changes of a single resource are not followed, which takes a session with each upstream."
)

// notPassed are the scenarios that a workspace does not pass, each with why.
var notPassed = map[string]string{
	"elicitation-sep1034-defaults": asksNobody, "elicitation-sep1330-enums": asksNobody, "tools-call-elicitation": asksNobody, "tools-call-sampling": asksNobody,
	"input-required-result-basic-elicitation": asksNobody, "input-required-result-basic-list-roots": asksNobody, "input-required-result-basic-sampling": asksNobody,
	"input-required-result-capability-check": asksNobody, "input-required-result-multi-round": asksNobody, "input-required-result-multiple-input-requests": asksNobody,
	"input-required-result-non-tool-request": asksNobody, "input-required-result-request-state": asksNobody, "input-required-result-result-type": asksNobody,
	"input-required-result-tampered-state": asksNobody,
	"server-stateless":                     "All but two of its checks pass. Those two want a tool to be refused that needs sampling; the workspace calls it, and shows that the upstream refuses it.",
	"tools-call-with-logging":              "Log messages of upstreams are not passed on.",
	"resources-subscribe":                  noFollowing, "resources-unsubscribe": noFollowing,
	"json-schema-2020-12":                  "Schemas are rewritten into what every client reads: of dialect 2020-12, which MCP takes them for without $schema, and without $anchor.",
	"http-custom-header-server-validation": "Tools ask for no headers: all arguments travel in the body.",
	"tasks-lifecycle":                      noTasks, "tasks-capability-negotiation": noTasks, "tasks-wire-fields": noTasks, "tasks-request-state-removal": noTasks, "tasks-mrtr-input": noTasks,
	"tasks-request-headers": noTasks, "tasks-dispatch-and-envelope": noTasks, "tasks-required-task-error": noTasks, "tasks-mrtr-composition": noTasks,
}

func TestMCPConformanceOfAWorkspace(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	at := throughWorkspace(t, conformant(t))
	outcomes := map[string][]string{}
	for n, one := range suites {
		for name, failed := range suite(t, one.version, at, one.args...) {
			if outcomes[name] == nil {
				outcomes[name] = make([]string, len(suites))
			}
			outcomes[name][n] = "passes"
			if len(failed) == 0 {
				continue
			}
			outcomes[name][n] = "no"
			if notPassed[name] == "" {
				t.Errorf("%s: %s: %s", one.title, name, strings.Join(failed, "; "))
			}
		}
	}
	var table strings.Builder
	table.WriteString("| scenario |")
	for _, one := range suites {
		table.WriteString(" " + one.title + " |")
	}
	table.WriteString(" why not |\n|---|" + strings.Repeat("---|", len(suites)+1) + "\n")
	for _, name := range slices.Sorted(maps.Keys(outcomes)) {
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", name, strings.Join(outcomes[name], " | "), notPassed[name])
		if notPassed[name] != "" && !slices.Contains(outcomes[name], "no") {
			t.Errorf("%s passes", name)
		}
	}
	documented, err := os.ReadFile(filepath.Join("..", "docs", "mcp-conformance.md"))
	require.NoError(t, err)
	if !strings.Contains(string(documented), table.String()) {
		t.Errorf("docs/mcp-conformance.md must have this table:\n%s", table.String())
	}
}
