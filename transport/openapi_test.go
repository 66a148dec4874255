package transport_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/seed677028b5/integrations/transport"
)

// An operation is one method of one path in openapi.yaml.
type operation struct {
	method, path string
	permission   string
	hasBody      bool
}

var methods = []string{"get", "put", "post", "delete", "patch", "head", "options", "trace"}

func operations(t *testing.T) []operation {
	t.Helper()
	text, err := os.ReadFile("openapi.yaml")
	require.NoError(t, err)
	var document struct {
		Paths map[string]map[string]yaml.Node `yaml:"paths"`
	}
	require.NoError(t, yaml.Unmarshal(text, &document))
	var all []operation
	for path, item := range document.Paths {
		for _, method := range methods {
			node, ok := item[method]
			if !ok {
				continue
			}
			var described struct {
				Permission  string    `yaml:"x-permission"`
				RequestBody yaml.Node `yaml:"requestBody"`
			}
			require.NoError(t, node.Decode(&described))
			all = append(all, operation{strings.ToUpper(method), path, described.Permission, !described.RequestBody.IsZero()})
		}
	}
	return all
}

var parameter = regexp.MustCompile(`[:*][a-z_]+|\{[a-z_]+\}`)

func TestTheDescriptionIsValidOpenAPI(t *testing.T) {
	var problems []string
	validate(t, "/document", nil, &problems)
	require.Empty(t, problems)
}

func TestExactlyTheServedRoutesAreDescribed(t *testing.T) {
	served := map[string]string{} // permission by route
	for _, r := range transport.Routes() {
		served[r.Method+" "+parameter.ReplaceAllString("/v1/:w"+r.Path, "{}")] = string(r.Needs)
	}
	for _, r := range (&transport.Server{Metrics: prometheus.NewRegistry()}).Engine().Routes() {
		if r.Method == "HEAD" || strings.HasSuffix(r.Handler, ".refuseMethod-fm") {
			continue // HEAD is GET without a body
		}
		route := r.Method + " " + parameter.ReplaceAllString(r.Path, "{}")
		if _, ok := served[route]; !ok {
			served[route] = ""
		}
	}
	described := map[string]string{}
	for _, o := range operations(t) {
		described[o.method+" "+parameter.ReplaceAllString(o.path, "{}")] = o.permission
	}
	require.Equal(t, served, described)
}

func TestTheDescriptionIsServed(t *testing.T) {
	s := serve(t)
	text, err := os.ReadFile("openapi.yaml")
	require.NoError(t, err)
	got := s.send(request{method: "GET", path: "/openapi.yaml", key: "none"}).is(200)
	require.Equal(t, string(text), got.text)
}

// Each rule is about a form that a generator of clients can't read, though it is valid.
// `make clients` runs the generators themselves.
func TestTheDescriptionHasOnlyFormsThatGeneratorsRead(t *testing.T) {
	text, err := os.ReadFile("openapi.yaml")
	require.NoError(t, err)
	var document map[string]any
	require.NoError(t, yaml.Unmarshal(text, &document))
	var inspect func(at string, v any)
	inspect = func(at string, v any) {
		switch v := v.(type) {
		case []any:
			for n, element := range v {
				inspect(fmt.Sprintf("%s/%d", at, n), element)
			}
		case map[string]any:
			if !strings.HasSuffix(at, "/properties") {
				if what := unreadable(v); what != "" {
					t.Errorf("%s: %s", at, what)
				}
			}
			for name, member := range v {
				if name != "example" && name != "examples" {
					inspect(at+"/"+name, member)
				}
			}
		}
	}
	inspect("", document)
	components, _ := document["components"].(map[string]any)
	schemas, _ := components["schemas"].(map[string]any)
	require.NotEmpty(t, schemas)
	for name := range schemas {
		require.False(t, strings.HasPrefix(name, "New"), "%s: the constructor of another schema in Go", name)
	}
}

// unreadable returns what a generator can't read in a schema, "" for nothing.
func unreadable(schema map[string]any) string {
	for _, keyword := range []string{"const", "if", "then", "else", "patternProperties", "not", "allOf"} {
		if _, has := schema[keyword]; has {
			return keyword
		}
	}
	kinds, _ := schema["type"].([]any)
	kinds = slices.DeleteFunc(slices.Clone(kinds), func(kind any) bool { return kind == "null" })
	kind := schema["type"]
	if len(kinds) == 1 {
		kind = kinds[0]
	}
	values, isEnum := schema["enum"].([]any)
	_, described := schema["properties"]
	_, open := schema["additionalProperties"]
	_, hasDefault := schema["default"]
	switch {
	case len(kinds) > 1:
		return "two types beside null"
	case isEnum && kind == nil:
		return "an enum without a type"
	case isEnum && hasDefault && slices.Contains(values, nil):
		return "a default of an enum that may be null"
	case kind == "object" && !described && !open:
		return "an object without properties and additionalProperties"
	case schema["format"] == "date-time" && schema["pattern"] != nil:
		return "a pattern of a time"
	}
	return ""
}
