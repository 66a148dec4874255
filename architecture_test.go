// Package integrations_test holds the tree to ARCHITECTURE.md.
package integrations_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/seed677028b5/integrations/"

// A row lists what the non-test files of a package may import.
type row struct {
	pkg     string
	ours    string // packages of this module
	outside string // libraries, by their names below
}

// table is the one in ARCHITECTURE.md. A package stands below what it imports.
var table = []row{
	{"domain", "", ""},
	{"internal/terminal", "domain", ""},
	{"internal/flagvalues", "", "kong"},
	{"internal/configfile", "domain", "kong yaml"},
	{"internal/systemd", "", ""},
	{"internal/listen", "internal/systemd", "proxyproto"},
	{"internal/durablefile", "", ""},
	{"internal/objects", "internal/durablefile", "minio-go"},
	{"internal/memlimit", "", ""},
	{"internal/retryafter", "", ""},
	{"internal/kms", "", ""},
	{"internal/ratelimit", "", "nats.go x/time"},
	{"internal/tracing", "domain", "otel otel/trace"},
	{"internal/otlp", "internal/retryafter internal/tracing", "backoff otel otel/sdk otlp otlptrace protobuf x/net"},
	{"streams", "", "backoff nats.go"},
	{"eventstore", "domain streams", "golang-lru json-experiment nats.go orbit"},
	{"backup", "eventstore internal/durablefile", "jsm.go nats.go"},
	{"subscriber", "domain streams eventstore", "backoff nats.go watermill"},
	{"audit", "domain eventstore", ""},
	{"vault", "domain streams internal/durablefile", "nats.go tink"},
	{"representation", "domain", ""},
	{"projections", "domain eventstore internal/tracing representation", "json-experiment x/sync"},
	{"authorizations", "domain internal/tracing streams eventstore vault projections", "nats.go x/sync"},
	{"approvals", "domain internal/tracing streams eventstore vault", "nats.go"},
	{"bodies", "domain streams vault", "nats.go"},
	{"callrecorder", "domain streams eventstore internal/durablefile", ""},
	{"access", "domain streams internal/durablefile", "nats.go"},
	{"persons", "domain vault access", "tink"},
	{"access/oidcauth", "domain access", "go-jose go-oidc yaml"},
	{"embeddednats", "streams internal/durablefile", "highwayhash nats-server nats.go"},
	{"internal/datafolder", "eventstore internal/durablefile", ""},
	{"internal/natsconn", "eventstore embeddednats internal/datafolder", "nats.go"},
	{"internal/recovery", "domain streams eventstore vault", "nats.go"},
	{"admission", "domain", "x/sync"},
	{"connectors/jsonvalue", "", ""},
	{"connectors/jsonschema", "domain connectors/jsonvalue", "golang-lru jsonschema x/text"},
	{"connectors/openapi", "domain connectors/jsonvalue", "x/net yaml"},
	{"connectors/capability", "domain connectors/jsonvalue", ""},
	{"connectors/imports", "domain connectors/jsonvalue", ""},
	{"connectors/reshape", "domain admission connectors/jsonvalue", "jmespath"},
	{"connectors/sandbox", "", "x/sys"},
	{"connectors/scrub", "", "x/text"},
	{"connectors/callerror", "domain internal/retryafter connectors/jsonvalue connectors/scrub", ""},
	{"connectors/egress", "domain admission internal/tracing connectors/callerror connectors/scrub", "ssrf x/net x/text"},
	{"connectors/program", "domain connectors/callerror connectors/sandbox", "yaml"},
	{"connectors/mcp", "domain admission connectors/callerror connectors/egress connectors/jsonvalue connectors/sandbox connectors/scrub", "mcp"},
	{"connectors/scrub/scrubtest", "", ""},
	{"connectors/serialization", "domain connectors/jsonvalue", ""},
	{"connectors/upstream", "domain internal/retryafter connectors/callerror", "backoff gobreaker"},
	{"connectors/authserver", "domain connectors/callerror connectors/egress connectors/jsonvalue", ""},
	{"connectors/signin", "domain internal/retryafter connectors/authserver connectors/callerror connectors/egress connectors/jsonvalue connectors/scrub connectors/upstream", "go-jose golang-lru x/net"},
	{"connectors", "domain admission connectors/authserver connectors/callerror connectors/capability connectors/egress connectors/imports connectors/jsonschema connectors/jsonvalue connectors/mcp connectors/openapi connectors/program connectors/reshape connectors/sandbox connectors/scrub connectors/serialization connectors/signin connectors/upstream", "golang-lru x/net"},
	{"toolformat", "domain", ""},
	{"toolsearch", "domain", "go-sqlite3"},
	{"commands", "domain internal/tracing eventstore vault persons projections authorizations approvals bodies callrecorder audit toolformat", "x/sync"},
	{"projections/sqlite", "domain projections representation internal/durablefile", "go-sqlite3"},
	{"projections/mongo", "domain projections representation", "mongo-driver"},
	{"projections/projectiontest", "domain projections representation", "testify rapid"},
	{"health", "domain internal/tracing streams eventstore commands projections", "nats.go prometheus watermill x/sync"},
	{"usage", "domain streams eventstore", "nats.go orbit"},
	{"accesslog", "domain streams persons", "nats.go orbit"},
	{"erasure", "domain eventstore access persons accesslog commands", "nats.go"},
	{"transparency", "", "x/mod"},
	{"transparency/trees", "domain streams eventstore transparency", "nats.go"},
	{"transparency/archive", "domain eventstore transparency transparency/trees", "compress"},
	{"webhooks", "domain internal/retryafter internal/tracing streams eventstore", "nats.go orbit standard-webhooks x/sync"},
	{"workspacefile", "domain eventstore commands internal/terminal", "yaml"},
	{"verify", "domain eventstore vault commands projections transparency transparency/trees transparency/archive internal/terminal", ""},
	{"transport", "domain internal/ratelimit internal/tracing access access/oidcauth persons accesslog admission audit toolformat toolsearch commands projections transparency transparency/trees representation usage webhooks authorizations", "compress gin json-experiment mcp prometheus swgui x/time"},
	{"console", "", ""},
	{"internal/bench", "domain eventstore projections projections/sqlite", "gin nats.go nats-server x/sync"},
	{"internal/peers", "", ""},
	{"internal/faultproxy", "internal/peers", ""},
	{"internal/chaos", "internal/peers", ""},
	{"internal/circles", "", ""},
	{"internal/ferrettest", "internal/peers", ""},
	{"internal/authservertest", "", ""},
	{"internal/natstest", "internal/faultproxy", "nats.go nats-server"},
	{"internal/powercut", "", "x/sys"},
	{"internal/natsmodel", "", "nats.go"},
	{"internal/simulation", "domain eventstore vault commands projections projections/sqlite webhooks internal/natsmodel", "nats.go"},
	{"cmd/integrations/metrics", "domain internal/otlp eventstore admission audit projections health transparency/trees usage webhooks", "nats.go prometheus"},
	{"cmd/integrations/status", "access/oidcauth eventstore projections transparency transparency/trees usage webhooks internal/terminal cmd/integrations/metrics", "nats.go"},
	{"cmd/integrations/demo", "internal/terminal", "mcp x/net"},
	{
		"cmd/integrations", "domain streams eventstore backup vault authorizations approvals bodies callrecorder access access/oidcauth persons accesslog erasure admission audit connectors connectors/sandbox commands projections projections/sqlite projections/mongo health transparency transparency/trees transparency/archive usage webhooks workspacefile verify transport console internal/terminal internal/flagvalues internal/configfile internal/systemd internal/listen internal/memlimit internal/otlp internal/tracing internal/ratelimit internal/kms internal/objects internal/datafolder internal/natsconn internal/recovery internal/bench internal/simulation cmd/integrations/metrics cmd/integrations/status cmd/integrations/demo",
		"backoff nats.go kong prometheus x/sync",
	},
}

// libraries are the paths of what is not ours.
var libraries = map[string]string{
	"backoff":           "github.com/cenkalti/backoff/v5",
	"gobreaker":         "github.com/sony/gobreaker/v2",
	"compress":          "github.com/klauspost/compress",
	"gin":               "github.com/gin-gonic/gin",
	"golang-lru":        "github.com/hashicorp/golang-lru/v2",
	"go-jose":           "github.com/go-jose/go-jose/v4",
	"go-oidc":           "github.com/coreos/go-oidc/v3",
	"go-sqlite3":        "github.com/ncruces/go-sqlite3",
	"jsm.go":            "github.com/nats-io/jsm.go",
	"jmespath":          "github.com/jmespath-community/go-jmespath",
	"json-experiment":   "github.com/go-json-experiment/json",
	"jsonschema":        "github.com/santhosh-tekuri/jsonschema/v6",
	"kong":              "github.com/alecthomas/kong",
	"proxyproto":        "github.com/pires/go-proxyproto",
	"mcp":               "github.com/modelcontextprotocol/go-sdk",
	"highwayhash":       "github.com/minio/highwayhash",
	"minio-go":          "github.com/minio/minio-go/v7",
	"mongo-driver":      "go.mongodb.org/mongo-driver/v2",
	"nats-server":       "github.com/nats-io/nats-server/v2",
	"nats.go":           "github.com/nats-io/nats.go",
	"orbit":             "github.com/synadia-io/orbit.go/jetstreamext",
	"otel":              "go.opentelemetry.io/otel",
	"otel/sdk":          "go.opentelemetry.io/otel/sdk",
	"otel/trace":        "go.opentelemetry.io/otel/trace",
	"otlp":              "go.opentelemetry.io/proto/otlp",
	"otlptrace":         "go.opentelemetry.io/otel/exporters/otlp/otlptrace",
	"prometheus":        "github.com/prometheus/client_golang",
	"protobuf":          "google.golang.org/protobuf",
	"rapid":             "pgregory.net/rapid",
	"standard-webhooks": "github.com/standard-webhooks/standard-webhooks/libraries",
	"ssrf":              "code.dny.dev/ssrf",
	"swgui":             "github.com/swaggest/swgui",
	"testify":           "github.com/stretchr/testify",
	"tink":              "github.com/tink-crypto/tink-go/v2",
	"watermill":         "github.com/ThreeDotsLabs/watermill",
	"yaml":              "go.yaml.in/yaml/v4",
	"x/mod":             "golang.org/x/mod",
	"x/net":             "golang.org/x/net",
	"x/sys":             "golang.org/x/sys",
	"x/sync":            "golang.org/x/sync",
	"x/text":            "golang.org/x/text",
	"x/time":            "golang.org/x/time",
}

func TestPackagesImportWhatTheTableSays(t *testing.T) {
	used := map[string]map[string]bool{} // what each package imports, by the names of the table
	for name, file := range sources(t) {
		pkg := path.Dir(name)
		at := slices.IndexFunc(table, func(r row) bool { return r.pkg == pkg })
		if at < 0 {
			t.Errorf("%s: package %s is not in the table: list there, and in ARCHITECTURE.md, what it may import", name, pkg)
			continue
		}
		allowed := strings.Fields(table[at].ours + " " + table[at].outside)
		if used[pkg] == nil {
			used[pkg] = map[string]bool{}
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			what, known := called(imported)
			used[pkg][what] = true
			switch {
			case !known:
				t.Errorf("%s imports %s, which is new here: give it a name and a home in the table, and the reason in ARCHITECTURE.md", name, imported)
			case what != "" && !slices.Contains(allowed, what):
				t.Errorf("%s imports %s, and package %s may not: it may import %s and the standard library", name, what, pkg, strings.Join(append(allowed, "nothing else"), ", "))
			}
		}
	}
	for _, r := range table {
		for _, what := range strings.Fields(r.ours + " " + r.outside) {
			if !used[r.pkg][what] {
				t.Errorf("the table lists that package %s imports %s, and it doesn't: take it out", r.pkg, what)
			}
		}
	}
}

// called returns the name in the table of what an import path is in, "" for the
// standard library, and whether there is one.
func called(imported string) (string, bool) {
	if ours, ok := strings.CutPrefix(imported, module); ok {
		return ours, true
	}
	longest := "" // a module may be in the folder of another
	for name, at := range libraries {
		if (imported == at || strings.HasPrefix(imported, at+"/")) && len(at) > len(libraries[longest]) {
			longest = name
		}
	}
	if longest != "" {
		return longest, true
	}
	first, _, _ := strings.Cut(imported, "/")
	return "", !strings.Contains(first, ".")
}

func TestTheDocumentSaysTheSameAsTheTable(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Imports\n")
	if !found {
		t.Fatal("ARCHITECTURE.md has no section called Imports")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var written []row
	for line := range strings.Lines(section) {
		if cells := strings.Split(strings.TrimSpace(line), "|"); len(cells) == 5 && strings.Contains(cells[1], "`") {
			written = append(written, row{quoted(cells[1]), quoted(cells[2]), quoted(cells[3])})
		}
	}
	for n, want := range table {
		if n >= len(written) || written[n] != want {
			t.Fatalf("row %d of the import table in ARCHITECTURE.md differs from architecture_test.go on %s:\nthere %+v\nhere  %+v", n+1, want.pkg, written[min(n, len(written)):min(n+1, len(written))], want)
		}
	}
	if len(written) != len(table) {
		t.Errorf("the import table in ARCHITECTURE.md has %d rows, and architecture_test.go has %d", len(written), len(table))
	}
}

var inQuotes = regexp.MustCompile("`([^`]+)`")

// quoted returns the words in back quotes of a cell.
func quoted(cell string) string {
	var words []string
	for _, m := range inQuotes.FindAllStringSubmatch(cell, -1) {
		words = append(words, m[1])
	}
	return strings.Join(words, " ")
}

// maxDependencies bounds the direct dependencies of the module.
const maxDependencies = 42

func TestEveryDirectDependencyHasAReason(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(document), "\n## Libraries\n")
	section, _, _ = strings.Cut(section, "\n## ")
	required := map[string]bool{}
	for _, m := range directDependency.FindAllStringSubmatch(string(mod), -1) {
		required[m[1]] = true
		if !strings.Contains(section, "| `"+m[1]+"` | ") {
			t.Errorf("go.mod requires %s: give its reason in ARCHITECTURE.md, under Libraries", m[1])
		}
	}
	if len(required) > maxDependencies {
		t.Errorf("go.mod has %d direct dependencies, and at most %d are allowed", len(required), maxDependencies)
	}
	for line := range strings.Lines(section) {
		if path := quoted(line); path != "" && strings.HasPrefix(line, "|") && !required[path] {
			t.Errorf("ARCHITECTURE.md gives a reason for %s, which go.mod does not require", path)
		}
	}
}

var directDependency = regexp.MustCompile(`(?m)^\t(\S+) v\S+$`)

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	documented := map[string]bool{}
	for name, file := range sources(t) {
		documented[path.Dir(name)] = documented[path.Dir(name)] || file.Doc != nil
	}
	for _, pkg := range slices.Sorted(maps.Keys(documented)) {
		if !documented[pkg] {
			t.Errorf("package %s has no comment: write its one job and its one promise", pkg)
		}
	}
}

func TestNothingIsNamedAfterNothing(t *testing.T) {
	meaningless := []string{"base", "common", "dto", "entity", "helper", "helpers", "manager", "misc", "models", "shared", "types", "util", "utils"}
	for name := range sources(t) {
		for part := range strings.SplitSeq(strings.TrimSuffix(name, ".go"), "/") {
			if slices.Contains(meaningless, part) {
				t.Errorf("%s: %q does not describe what is in it; name it after that", name, part)
			}
		}
	}
}

// A document that names a test promises that the test is there.
func TestTheTestsThatDocumentsNameAreThere(t *testing.T) {
	var tests, documents []string
	err := walk(func(name string) error {
		text, err := os.ReadFile(name)
		switch {
		case strings.HasSuffix(name, "_test.go"):
			tests = append(tests, string(text))
		case strings.HasSuffix(name, ".md"):
			for _, m := range namedTest.FindAllStringSubmatch(string(text), -1) {
				documents = append(documents, name+" names "+m[1])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, named := range documents {
		_, test, _ := strings.Cut(named, " names ")
		if !slices.ContainsFunc(tests, func(text string) bool { return strings.Contains(text, "\nfunc "+test+"(") }) {
			t.Errorf("%s, and there is no such test", named)
		}
	}
}

var namedTest = regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9]+)`")

// sources returns the Go files of this module by their paths, tests aside, with
// their imports and package comments.
func sources(t *testing.T) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	err := walk(func(name string) (err error) {
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			files[name], err = parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly|parser.ParseComments)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// walk calls visit for every Go file and every document of this module.
func walk(visit func(name string) error) error {
	return fs.WalkDir(os.DirFS("."), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && isElsewhere(name):
			return fs.SkipDir
		case strings.HasSuffix(name, ".go") || strings.HasSuffix(name, ".md"):
			return visit(name)
		}
		return nil
	})
}

// isElsewhere reports whether a folder holds no code of this module.
func isElsewhere(dir string) bool {
	base := path.Base(dir)
	if strings.HasPrefix(base, ".") || base == "testdata" || base == "node_modules" {
		return true
	}
	_, err := os.Stat(path.Join(dir, "go.mod"))
	return err == nil
}
