package transport_test

import (
	"os"
	"regexp"
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

var parameter = regexp.MustCompile(`:[a-z_]+|\{[a-z_]+\}`)

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
