package domain_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed677028b5/integrations/domain"
)

func TestAToolIsNamedAfterItsIntegrationAndEndpoint(t *testing.T) {
	require.Equal(t, "crm__list_contacts", domain.ToolName("crm", "list_contacts"))
	syntax := regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	integration := rapid.StringMatching(`[a-z0-9][a-z0-9_-]{0,100}[a-z0-9]`)
	endpoint := rapid.StringMatching(`[A-Za-z0-9_-]{1,128}`)
	rapid.Check(t, func(rt *rapid.T) {
		a, b := integration.Draw(rt, "integration"), endpoint.Draw(rt, "endpoint")
		name := domain.ToolName(a, b)
		require.Regexp(rt, syntax, name)
		if i, e, ok := domain.SplitToolName(name); ok {
			require.Equal(rt, [2]string{a, b}, [2]string{i, e})
		}
	})
}

func TestNoTwoToolsShareAName(t *testing.T) {
	names := map[string][2]string{}
	long := strings.Repeat("a", 90)
	i, e, ok := domain.SplitToolName(domain.ToolName("0__0", "-"))
	require.False(t, ok, "a name with a hash is looked up, not split into %s and %s", i, e)
	for _, i := range []string{"a", "a_", "a__b", "a_b", "ab", "a___b", long, long + "b"} {
		for _, e := range []string{"c", "_c", "__c", "b__c", "b_c", "_b__c", long, long + "c"} {
			name := domain.ToolName(i, e)
			require.NotContains(t, names, name, "%s and %s", names[name], [2]string{i, e})
			names[name] = [2]string{i, e}
		}
	}
}

func TestAToolTakesAnObjectWithThePathParameters(t *testing.T) {
	for schema, want := range map[string]string{
		`{}`: `{"type":"object","properties":{"id":{"type":"string"}},"required":["id"]}`,
		`{"type":"object","properties":{"id":{"type":"integer"},"q":{"type":"string"}},"required":["q"]}`: `{"type":"object","properties":{"id":{"type":"integer"},"q":{"type":"string"}},"required":["q","id"]}`,
		`{"required":["id"]}`:                      `{"type":"object","properties":{"id":{"type":"string"}},"required":["id"]}`,
		`{"properties":{"q":{}},"required":["q"]}`: `{"type":"object","properties":{"id":{"type":"string"},"q":{}},"required":["q","id"]}`,
		`{"type":["object","null"]}`:               `{"type":"object","properties":{"id":{"type":"string"}},"required":["id"]}`,
		`{"type":"string"}`:                        `{"type":"object","properties":{"id":{"type":"string"}},"required":["id"]}`,
	} {
		i := created(t, plain)
		i.Endpoints = []domain.Endpoint{{Name: "get", Description: "Get one.", Path: "/items/{id}", InputSchema: json.RawMessage(schema)}}
		tool := i.Tools()[0]
		require.JSONEq(t, want, string(tool.InputSchema), schema)
		require.Equal(t, "CRM: Get one.", tool.Description)
	}
}

func TestParametersMayBeOfAnyTypeThatIncludesObject(t *testing.T) {
	for _, schema := range []string{`{}`, `{"minProperties": 1}`, `{"type": "object"}`, `{"type": ["null", "object"]}`} {
		i := created(t, `{"name": "crm", "display_name": "CRM", "base_url": "https://crm.example.com", "endpoints": [{`+endpoint+`, "input_schema": `+schema+`}]}`)
		require.JSONEq(t, schema, string(i.Endpoints[0].InputSchema), "it stays as it was written")
	}
}

func TestAnEndpointHasATitleAndAnnotations(t *testing.T) {
	of := func(more string) domain.Endpoint {
		return created(t, `{"name": "crm", "display_name": "CRM", "base_url": "https://crm.example.com", "endpoints": [{`+endpoint+more+`}]}`).Endpoints[0]
	}
	e := of(`, "title": "Find it", "annotations": {"read_only": true, "open_world": false, "idempotent": null}`)
	require.Equal(t, "Find it", e.Title)
	require.Equal(t, &domain.Annotations{ReadOnly: new(true), OpenWorld: new(false)}, e.Annotations)
	require.Nil(t, of(`, "annotations": {}, "title": null`).Annotations)
}
