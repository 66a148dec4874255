package connectors

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/peers"
)

// newestSuite is the package of the newest version of the suite, in test/peers.
const newestSuite = "conformance-next"

// heldNext are the scenarios of the newest version that are held beside those of auth, each with
// what holds when it passes.
var heldNext = map[string]string{
	"initialize":                       "A probe agrees on a version and introduces itself.",
	"tools_call":                       "A call sends its parameters as arguments and returns the result of the tool.",
	"sse-retry":                        "A call whose stream ends before its answer resumes it from the last event.",
	"request-metadata":                 "Each request has the version, the client and its capabilities in its metadata.",
	"http-standard-headers":            "Each request names its method, and what it is about, in headers.",
	"http-custom-headers":              "Arguments travel as the headers that the schema of the tool asks for.",
	"http-invalid-tool-headers":        "A tool whose headers a client must not send is not called, and hides no other.",
	"json-schema-ref-no-deref":         "A reference to another document is not followed.",
	"json-schema-2020-12-preservation": "The schema of a tool is offered with all its keywords.",
}

// leftOutNext are those that don't apply, each with why.
var leftOutNext = map[string]string{
	"elicitation-sep1034-client-defaults": asksNoPerson,
	"sep-2322-client-request-state":       "Its rounds ask a person. A round that asks for nothing but its state is made (TestMCPAToolThatAsksForItsStateAloneIsCalledAgain).",
}

// asNewest makes the client of a scenario one for the newest version.
const asNewest = "newest"

// conformNext does what a scenario needs: it probes, lists the tools, and calls those that the
// scenario names, else each once.
func conformNext(ctx context.Context, out io.Writer, r *Registry, at string) error {
	i := tooling(domain.HTTP, at, "", nil).Integration
	p := r.Probe(ctx, i, nil)
	_, _ = fmt.Fprintln(out, p.Message)
	found, err := r.Discover(ctx, i, nil, domain.Description{})
	if err != nil {
		return err
	}
	type toolCall struct {
		Name      string
		Arguments map[string]any
	}
	var wanted struct{ ToolCalls []toolCall }
	decoder := json.NewDecoder(strings.NewReader(os.Getenv("MCP_CONFORMANCE_CONTEXT")))
	decoder.UseNumber()
	if decoder.Decode(&wanted) != nil || len(wanted.ToolCalls) == 0 {
		for _, offer := range found.Offers {
			arguments := anyArguments(offer.InputSchema)
			if _, echoes := arguments["schema"]; echoes { // what this client makes of a schema
				schema, _ := jsonvalue.Decode(found.Offers[0].InputSchema)
				arguments["schema"] = schema
			}
			wanted.ToolCalls = append(wanted.ToolCalls, toolCall{offer.Name, arguments})
		}
	}
	for _, one := range wanted.ToolCalls {
		c := tooling(domain.HTTP, at, one.Name, one.Arguments)
		for _, offer := range found.Offers {
			if offer.Name == one.Name {
				c.Endpoint.InputSchema, c.Endpoint.Tool = offer.InputSchema, offer.Tool
			}
		}
		result, err := r.Call(ctx, c)
		_, _ = fmt.Fprintln(out, one.Name, result.FinalResult, result.Error, err)
	}
	return nil
}

// anyArguments returns arguments that have what a schema demands.
func anyArguments(schema json.RawMessage) map[string]any {
	var s struct {
		Required   []string
		Properties map[string]struct{ Type string }
	}
	_ = json.Unmarshal(schema, &s)
	values := map[string]any{"string": "x", "integer": json.Number("1"), "number": json.Number("2"), "boolean": true, "object": map[string]any{}, "array": []any{}}
	arguments := map[string]any{}
	for _, name := range s.Required {
		arguments[name] = values[s.Properties[name].Type]
	}
	return arguments
}

// newest returns a command of the newest version of the suite.
func newest(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	program := filepath.Join(peers.Dir(t), "node_modules", newestSuite, "dist", "index.js")
	return exec.CommandContext(t.Context(), peers.Node(t), append([]string{program}, args...)...)
}

func TestMCPConformanceTheNewestScenariosHold(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	listed, err := newest(t, "list", "--client").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(listed)) {
		name, isOne := strings.CutPrefix(strings.TrimSpace(line), "- ")
		name, _, _ = strings.Cut(name, " ")
		if isOne && !strings.HasPrefix(name, "auth/") && !strings.HasPrefix(name, "sep-2640") && heldNext[name] == "" && leftOutNext[name] == "" {
			t.Errorf("the table lacks the scenario %s", name)
		}
	}
	for name := range heldNext {
		t.Run(name, func(t *testing.T) {
			results := t.TempDir()
			cmd := newest(t, "client", "--command", `"$CONFORMANCE_CLIENT"`, "--scenario", name, "--output-dir", results)
			cmd.Env = append(os.Environ(), asConformanceClient+"="+asNewest, "CONFORMANCE_CLIENT="+self)
			output, _ := cmd.CombinedOutput() // its files have all that its exit status has
			var checks []struct{ ID, Status, Description, ErrorMessage string }
			if err := json.Unmarshal(resultOf(t, results, "checks.json"), &checks); err != nil {
				t.Fatal(err)
			}
			passed := 0
			for _, c := range checks {
				switch c.Status {
				case "SUCCESS":
					passed++
				case "FAILURE":
					t.Errorf("%s: %s %s", c.ID, c.Description, c.ErrorMessage)
				}
			}
			if passed == 0 || t.Failed() {
				t.Errorf("%d checks passed:\n%s\n%s", passed, resultOf(t, results, "stdout.txt"), output)
			}
		})
	}
}

func TestMCPConformanceOfTheNewestVersionIsDocumented(t *testing.T) {
	output, err := os.ReadFile(filepath.Join("..", "docs", "mcp-conformance.md"))
	if err != nil {
		t.Fatal(err)
	}
	var rows strings.Builder
	for _, name := range slices.Sorted(maps.Keys(heldNext)) {
		fmt.Fprintf(&rows, "| `%s` | passes | %s |\n", name, heldNext[name])
	}
	for _, name := range slices.Sorted(maps.Keys(leftOutNext)) {
		fmt.Fprintf(&rows, "| `%s` | left out | %s |\n", name, leftOutNext[name])
	}
	if !strings.Contains(string(output), rows.String()) {
		t.Errorf("docs/mcp-conformance.md must have these rows:\n%s", rows.String())
	}
}
