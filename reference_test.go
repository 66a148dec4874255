package integrations_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

var update = flag.Bool("update", false, "write docs/reference instead of comparing it")

// reference compares a page of docs/reference with what the code makes of it, or
// writes it with -update.
func reference(t *testing.T, page, text string) {
	t.Helper()
	file := "docs/reference/" + page
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(written) != text {
		t.Errorf("%s differs from the code; run: go test . ./cmd/integrations -run Reference -update", file)
	}
}

// header begins a generated page.
func header(title, source, text string) string {
	return "<!-- Generated from " + source + " by `go test . ./cmd/integrations -run Reference -update`. Do not edit. -->\n\n# " +
		title + "\n\n" + text + "\n"
}

// cell returns text for a cell of a table, on one line.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}

// api is what the reference needs of transport/openapi.yaml, which transport
// holds to the routes that are served.
type api struct {
	Tags       []struct{ Name, Description string }
	Paths      yaml.Node
	Components struct {
		Parameters map[string]apiParameter
		Schemas    struct {
			Permission struct{ Enum []string } `yaml:"Permission"`
		}
	}
}

type apiOperation struct {
	method, path string

	Tags       []string
	Summary    string
	Permission string `yaml:"x-permission"`
	Parameters []apiParameter
}

type apiParameter struct {
	Ref  string `yaml:"$ref"`
	Name string
	In   string
}

func openAPI(t *testing.T) (api, []apiOperation) {
	t.Helper()
	text, err := os.ReadFile("transport/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var described api
	if err := yaml.Unmarshal(text, &described); err != nil {
		t.Fatal(err)
	}
	var all []apiOperation
	for n := 0; n < len(described.Paths.Content); n += 2 { // in the order of the file
		path, item := described.Paths.Content[n].Value, described.Paths.Content[n+1]
		for m := 0; m < len(item.Content); m += 2 {
			method := item.Content[m].Value
			if method == "parameters" {
				continue
			}
			o := apiOperation{method: strings.ToUpper(method), path: path}
			if err := item.Content[m+1].Decode(&o); err != nil {
				t.Fatalf("%s %s: %v", method, path, err)
			}
			all = append(all, o)
		}
	}
	return described, all
}

func TestReferenceOfRoutes(t *testing.T) {
	described, all := openAPI(t)
	var b strings.Builder
	b.WriteString(header("Routes", "transport/openapi.yaml", "Send an API key as `Authorization: Bearer <key>`. "+
		"[transport/openapi.yaml](../../transport/openapi.yaml) has the bodies,\nanswers and headers; a running service shows it at `/docs`. "+
		"What a permission allows is in [permissions.md](permissions.md),\nwhat an error code means in [errors.md](errors.md)."))
	for _, tag := range described.Tags {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| route | permission | what it does | query |\n|---|---|---|---|\n", tag.Name, tag.Description)
		for _, o := range all {
			if !slices.Contains(o.Tags, tag.Name) {
				continue
			}
			needs := "none"
			if o.Permission != "" {
				needs = "`" + o.Permission + "`"
			}
			fmt.Fprintf(&b, "| `%s %s` | %s | %s | %s |\n", o.method, o.path, needs, cell(o.Summary), query(described, o.Parameters))
		}
	}
	reference(t, "routes.md", b.String())
}

// query lists the parameters of a query.
func query(described api, parameters []apiParameter) string {
	var names []string
	for _, p := range parameters {
		if p.Ref != "" {
			p = described.Components.Parameters[p.Ref[strings.LastIndexByte(p.Ref, '/')+1:]]
		}
		if p.In == "query" {
			names = append(names, "`"+p.Name+"`")
		}
	}
	return strings.Join(names, " ")
}

func TestReferenceOfPermissions(t *testing.T) {
	described, all := openAPI(t)
	// What a permission is for; its routes come from openapi.yaml.
	purposes := []struct{ permission, purpose string }{
		{"Integration.view", "Read integrations, events and tools; test endpoints and connections"},
		{"Integration.create", "Create integrations"},
		{"Integration.update", "Change and restore integrations"},
		{"Integration.delete", "Delete integrations and their secrets"},
		{"Integration.exec", "Start MCP servers over stdio. It is needed in addition to the permission of the route, for every request that starts a process or leads to one"},
		{"Integration.invoke", "Call endpoints as tools, over HTTP or MCP: what an agent needs"},
		{"Connection.authorize", "Have persons sign in to integrations, for the subjects that they are; see and revoke what they permitted. For the workspace itself it takes `Integration.update` too"},
		{"Connection.use", "Call on behalf of a subject, with the header `X-On-Behalf-Of`: what the backend of a host application needs, in addition to `Integration.invoke`"},
		{"Approval.decide", "Approve or deny calls that others asked for, and see what these send. Listing them takes `Integration.view`"},
		{"Call.read_bodies", "Read what recorded calls sent and what came back, of endpoints with `record: bodies`"},
		{"ApiKey.manage", "Issue, list, rotate and revoke the API keys of the workspace"},
		{"Webhook.manage", "Manage webhook destinations and their deliveries"},
		{"Workspace.admin", "All of the above"},
	}
	var b strings.Builder
	b.WriteString(header("Permissions", "transport/openapi.yaml", "An API key has one or more of these permissions, in one workspace. "+
		"A key of the operator (`keys create --operator`) has\nthem in every workspace. A key can give, rotate and revoke no permission that it lacks.\nIt can be narrowed to integrations, tools and methods: [operating](../operating.md#keys).\n\n"+
		"An agent needs `Integration.invoke` to call tools, and `Integration.view` if it lists tools over HTTP\n(`GET /v1/{workspace_id}/integration-tools`) "+
		"rather than over MCP:\n\n```sh\nintegrations keys create --workspace acme --name agent --permission Integration.invoke\n```"))
	for _, p := range purposes {
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n", p.permission, p.purpose)
		var routes []string
		for _, o := range all {
			if o.Permission == p.permission {
				routes = append(routes, fmt.Sprintf("- `%s %s`: %s\n", o.method, o.path, cell(o.Summary)))
			}
		}
		if len(routes) > 0 {
			b.WriteString("\n" + strings.Join(routes, ""))
		}
	}
	for n, permission := range described.Components.Schemas.Permission.Enum {
		if n >= len(purposes) || purposes[n].permission != permission {
			t.Errorf("the permission %s of openapi.yaml is missing here, or in another place", permission)
		}
	}
	reference(t, "permissions.md", b.String())
}

func TestReferenceOfErrors(t *testing.T) {
	found := literals(t)
	var b strings.Builder
	b.WriteString(header("Error codes", "the source code", "Every refusal is `application/problem+json` (RFC 9457) with a stable `code`, a sentence in `detail` and the `request_id`.\n"+
		"The server log has the cause of a 500 or 503 under the same `request_id`. `…` stands for a value.\n\n"+
		"| status | who acts |\n|---|---|\n| 401, 403 | the caller: another key, or a key with the permission |\n| 404, 409, 412, 413, 415, 421, 422 | the caller: another request |\n"+
		"| 429 | the caller: again after `Retry-After` |\n| 503 | the caller: again later. The change was not made, unless the code is `outcome_unknown` (then repeat it with its `Idempotency-Key`). The operator has to act on some codes (`log_full`, `log_incomplete`, `streams_missing`) |\n| 500 | the operator |"))
	b.WriteString("\n## Of a request\n\n| code | status | detail |\n|---|---|---|\n")
	for _, e := range found.refusals {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", e.code, e.status, cell(e.text))
	}
	b.WriteString("\n## In the list `errors` of a 422\n\nEach entry has the `pointer` to a member of the body or a parameter of the query.\n\n| code | such as |\n|---|---|\n")
	for _, e := range found.problems {
		fmt.Fprintf(&b, "| `%s` | %s |\n", e.code, cell(e.text))
	}
	b.WriteString("\nA parameter that its `input_schema` refuses has the keyword of the schema as its code, such as `pattern`.\n")
	if len(found.refusals) < 30 || len(found.problems) < 10 {
		t.Fatalf("only %d errors and %d problems were found: the shape of their calls has changed", len(found.refusals), len(found.problems))
	}
	reference(t, "errors.md", b.String())
}

func TestReferenceOfMetrics(t *testing.T) {
	found := literals(t)
	var b strings.Builder
	b.WriteString(header("Metrics", "the source code", "`GET /metrics` has these in the format of Prometheus, without an API key, besides those of the Go runtime and the process.\n"+
		"Alerts and dashboards are described in [operating.md](../operating.md#metrics)."))
	b.WriteString("\n| metric | what it is |\n|---|---|\n")
	slices.SortFunc(found.metrics, func(a, b literal) int { return cmp.Compare(a.code, b.code) })
	for _, m := range found.metrics {
		fmt.Fprintf(&b, "| `%s` | %s |\n", m.code, cell(m.text))
	}
	if len(found.metrics) < 15 {
		t.Fatalf("only %d metrics were found: the shape of their definitions has changed", len(found.metrics))
	}
	reference(t, "metrics.md", b.String())
}
