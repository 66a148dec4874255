package transport_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/seed677028b5/integrations/transport"
)

func TestAMisspelledParameterOfTheURLIsRefusedWithTheOneThatWasMeant(t *testing.T) {
	t.Parallel()
	s := serve(t)
	refused := s.send(request{method: "GET", path: "/integrations?enable=false&protocl=mcp&limit=10", wrong: true}).is(422, "unknown_parameter")
	require.Equal(t, []any{
		map[string]any{"pointer": "/enable", "code": "unknown_parameter", "detail": "there is no such parameter; did you mean enabled?"},
		map[string]any{"pointer": "/protocl", "code": "unknown_parameter", "detail": "there is no such parameter; did you mean protocol?"},
	}, refused.json["errors"])

	s.send(request{method: "POST", path: "/integrations?dryrun=true", body: rest("crm", "https://crm.example.com"), wrong: true}).is(422, "unknown_parameter")
	s.send(request{method: "GET", path: "/integrations/crm"}).is(404, "integration_not_found")
	s.send(request{method: "GET", path: "/api-keys?limit=1", wrong: true}).is(422, "unknown_parameter")
}

func TestEachRouteHasTheParametersThatTheDescriptionNames(t *testing.T) {
	text, err := os.ReadFile("openapi.yaml")
	require.NoError(t, err)
	type parameters []struct {
		Name, In string
		Ref      string `yaml:"$ref"`
	}
	var document struct {
		Paths      map[string]map[string]yaml.Node
		Components struct {
			Parameters map[string]struct{ Name, In string }
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &document))
	described := map[string][]string{}
	for path, item := range document.Paths {
		for method, node := range item {
			var operation struct{ Parameters parameters }
			if method == "parameters" || !strings.HasPrefix(path, "/v1/{workspace_id}/") {
				continue
			}
			require.NoError(t, node.Decode(&operation))
			names := []string{}
			for _, p := range operation.Parameters {
				shared := document.Components.Parameters[strings.TrimPrefix(p.Ref, "#/components/parameters/")]
				if name := p.Name + shared.Name; p.In+shared.In == "query" {
					names = append(names, name)
				}
			}
			slices.Sort(names)
			described[strings.ToUpper(method)+" "+parameter.ReplaceAllString(path, "{}")] = names
		}
	}
	has := map[string][]string{}
	for _, r := range transport.Routes() {
		names := append([]string{}, strings.Fields(strings.Trim(r.Query, "*"))...)
		slices.Sort(names)
		has[r.Method+" "+parameter.ReplaceAllString("/v1/:w"+r.Path, "{}")] = names
	}
	require.Equal(t, described, has)
}

func TestTheRootLeadsToTheDocumentation(t *testing.T) {
	t.Parallel()
	got := serve(t).send(request{method: "GET", path: "/", key: "none"}).is(303)
	require.Equal(t, "/docs", got.header.Get("Location"))
}
