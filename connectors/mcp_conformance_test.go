package connectors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed677028b5/integrations/connectors/sandbox"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/peers"
)

// asConformanceClient is the environment variable that makes the test binary the
// client of a scenario.
const asConformanceClient = "RUN_AS_CONFORMANCE_CLIENT"

// TestMain lets the test binary stand in for what a sandbox starts, for a server
// in it, and for a client of MCP, which the conformance suite starts as a process.
func TestMain(m *testing.M) {
	sandbox.Become()
	if len(os.Args) > 2 && os.Args[1] == asServer {
		serveAs(os.Args[2], os.Args[3:])
		syscall.Exit(0) // the race detector would stay for a second
	}
	if os.Getenv(asConformanceClient) == "" {
		os.Exit(m.Run())
	}
	err := conform(os.Stdout, os.Getenv("MCP_CONFORMANCE_SCENARIO"), os.Args[len(os.Args)-1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// scenario is one of the suite's that this client is held to.
type scenario struct {
	shows  string // what holds when it passes
	tool   string // that is called, after a probe and a discovery
	params map[string]any
	comes  string // the outcome of the call, else of the probe
	busy   string // the check that a busy machine may be warned in
}

var held = map[string]scenario{
	"initialize": {
		shows: "A probe agrees on a version and introduces itself.",
		comes: "The server speaks MCP 2025-11-25 (test-server 1.0.0) and offers 0 tools.",
	},
	"tools_call": {
		shows: "A call sends its parameters as arguments and returns the result of the tool.",
		tool:  "add_numbers", params: map[string]any{"a": json.Number("5"), "b": json.Number("3")},
		comes: "The sum of 5 and 3 is 8",
	},
	"sse-retry": {
		shows: "A call whose stream ends before its answer resumes it from the last event, after the pause that the server requests.",
		tool:  "test_reconnection",
		comes: "Reconnection test completed successfully",
		busy:  "client-sse-retry-timing",
	},
}

const asksNoPerson = "No person can answer: the client does not declare elicitation, and declines it."

// leftOut are the scenarios that don't apply, each with why.
var leftOut = map[string]string{
	"elicitation-sep1034-client-defaults": asksNoPerson,
}

// conform does what a scenario needs against its server, and writes what that
// came to.
func conform(out io.Writer, name, at string) error {
	if strings.HasPrefix(name, "auth/") {
		return conformAuth(out, name, at)
	}
	r, err := New(Config{AllowLoopback: true})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
	defer cancel()
	if os.Getenv(asConformanceClient) == asNewest {
		return conformNext(ctx, out, r, at)
	}
	s, ok := held[name]
	if !ok {
		return fmt.Errorf("there is no scenario %q", name)
	}
	c := tooling(domain.HTTP, at, s.tool, s.params)
	p := r.Probe(ctx, c.Integration, nil)
	if p.Status != domain.Healthy {
		return fmt.Errorf("the probe came to %s: %s", p.Status, p.Message)
	}
	found, err := r.Discover(ctx, c.Integration, nil, domain.Description{})
	if err != nil || found.Error != "" {
		return errors.Join(err, errors.New(found.Error))
	}
	if s.tool == "" {
		_, err = fmt.Fprint(out, p.Message)
		return err
	}
	if !slices.ContainsFunc(found.Offers, func(o domain.Offer) bool { return o.Name == s.tool }) {
		return fmt.Errorf("%s is not among the tools: %+v", s.tool, found.Offers)
	}
	result, err := r.Call(ctx, c)
	if err != nil || result.Error != "" {
		return errors.Join(err, errors.New(result.Error))
	}
	_, err = fmt.Fprint(out, result.FinalResult)
	return err
}

// conformance returns a command of the conformance suite of the MCP project.
func conformance(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	dir := peers.Dir(t)
	program := filepath.Join(dir, "node_modules", "@modelcontextprotocol", "conformance", "dist", "index.js")
	return exec.CommandContext(t.Context(), peers.Node(t), append([]string{program}, args...)...)
}

func TestMCPConformanceEveryScenarioIsHeldOrLeftOutForAReason(t *testing.T) {
	out, err := conformance(t, "list", "--client").Output()
	if err != nil {
		t.Fatal(err)
	}
	known := slices.Sorted(maps.Keys(held))
	for name := range leftOut {
		if _, both := held[name]; both {
			t.Errorf("%s is held and left out", name)
		}
		known = append(known, name)
	}
	for line := range strings.Lines(string(out)) {
		listed, isOne := strings.CutPrefix(strings.TrimSpace(line), "- ")
		if !isOne {
			continue
		}
		name, _, _ := strings.Cut(listed, " ")
		if strings.HasPrefix(name, "auth/") {
			continue // see mcp_conformance_auth_test.go
		}
		at := slices.Index(known, name)
		if at < 0 {
			t.Errorf("the table lacks the scenario %s", name)
			continue
		}
		known = slices.Delete(known, at, at+1)
	}
	if len(known) > 0 {
		t.Errorf("these scenarios are no longer there: %q", known)
	}
	t.Logf("%d scenarios are held, %d left out", len(held), len(leftOut))
}

func TestMCPConformanceTheScenariosHold(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range held {
		t.Run(name, func(t *testing.T) {
			results := t.TempDir()
			cmd := conformance(t, "client", "--command", `"$CONFORMANCE_CLIENT"`, "--scenario", name, "--output-dir", results)
			cmd.Env = append(os.Environ(), asConformanceClient+"=1", "CONFORMANCE_CLIENT="+self)
			output, _ := cmd.CombinedOutput() // its output has all that its exit status has
			if got := resultOf(t, results, "stdout.txt"); !strings.Contains(string(got), s.comes) {
				t.Errorf("the client came to %q\n%s", got, output)
			}
			passed(t, resultOf(t, results, "checks.json"), s.busy)
		})
	}
}

// passed fails the test unless each of the checks passed, and there is one. One that a busy
// machine may be warned in is named.
func passed(t *testing.T, text []byte, busy string) {
	t.Helper()
	var checks []struct{ ID, Status, Description, ErrorMessage string }
	if err := json.Unmarshal(text, &checks); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, c := range checks {
		count[c.Status]++
		switch {
		case c.Status == "WARNING" && c.ID == busy:
			t.Logf("%s: %s", c.ID, c.ErrorMessage)
		case c.Status != "SUCCESS" && c.Status != "INFO":
			t.Errorf("%s: %s: %s %s", c.Status, c.ID, c.Description, c.ErrorMessage)
		}
	}
	if count["SUCCESS"] == 0 {
		t.Error("nothing was checked")
	}
	t.Logf("%d checks passed, %d failed, %d warned", count["SUCCESS"], count["FAILURE"], count["WARNING"])
}

// resultOf returns a file of a scenario's results.
func resultOf(t *testing.T, results, name string) []byte {
	t.Helper()
	var found []string // a scenario with a slash in its name has a folder of its own
	for _, pattern := range []string{filepath.Join(results, "*", name), filepath.Join(results, "*", "*", name)} {
		more, _ := filepath.Glob(pattern)
		found = append(found, more...)
	}
	if len(found) != 1 {
		t.Fatalf("of %s there are %q", name, found)
	}
	content, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestMCPConformanceIsDocumented(t *testing.T) {
	output, err := os.ReadFile(filepath.Join("..", "docs", "mcp-conformance.md"))
	if err != nil {
		t.Fatal(err)
	}
	var rows strings.Builder
	for _, name := range slices.Sorted(maps.Keys(held)) {
		fmt.Fprintf(&rows, "| `%s` | passes | %s |\n", name, held[name].shows)
	}
	for _, name := range slices.Sorted(maps.Keys(leftOut)) {
		fmt.Fprintf(&rows, "| `%s` | left out | %s |\n", name, leftOut[name])
	}
	if !strings.HasSuffix(string(output), "|---|---|---|\n"+rows.String()) {
		t.Errorf("docs/mcp-conformance.md must end with these rows:\n%s", rows.String())
	}
}
