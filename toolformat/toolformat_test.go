package toolformat_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/toolformat"
)

// toolOf returns a tool whose endpoint has a schema.
func toolOf(schema string, more ...func(*domain.Endpoint)) domain.Tool {
	e := domain.Endpoint{Name: "op", Description: "Does it.", Method: "POST", InputSchema: json.RawMessage(schema)}
	for _, change := range more {
		change(&e)
	}
	i := domain.Integration{}
	i.Name, i.DisplayName, i.Protocol, i.Endpoints = "crm", "CRM", domain.REST, []domain.Endpoint{e}
	return i.Tools()[0]
}

// rendered returns the definition of a tool as it is read from JSON.
func rendered(t require.TestingT, tool domain.Tool, o toolformat.Options) map[string]any {
	definition, err := toolformat.Render(tool, o)
	require.NoError(t, err)
	return decoded(t, definition)
}

func decoded(t require.TestingT, v any) (read map[string]any) {
	written, err := json.Marshal(v)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(written, &read))
	return read
}

func isJSON(t *testing.T, want string, got any) {
	t.Helper()
	written, err := json.Marshal(got)
	require.NoError(t, err)
	require.JSONEq(t, want, string(written))
}

func TestASchemaIsRenderedByTheRulesOfItsFormat(t *testing.T) {
	openai := func(strict bool) func(*testing.T, string) any {
		return func(t *testing.T, schema string) any {
			got := rendered(t, toolOf(schema), toolformat.Options{Format: toolformat.OpenAI, Strict: strict})
			function := got["function"].(map[string]any)
			if strict {
				require.Equal(t, true, function["strict"])
			}
			return function["parameters"]
		}
	}
	of := func(f toolformat.Format, member string) func(*testing.T, string) any {
		return func(t *testing.T, schema string) any {
			return rendered(t, toolOf(schema), toolformat.Options{Format: f})[member]
		}
	}
	plain, strict := openai(false), openai(true)
	anthropic, mcp, gemini := of(toolformat.Anthropic, "input_schema"), of(toolformat.MCP, "inputSchema"), of(toolformat.Gemini, "parameters")
	for name, row := range map[string]struct {
		render       func(*testing.T, string) any
		schema, want string
	}{
		"OpenAI: an array has items": {plain, `{"properties":{"l":{"type":"array"}}}`, `{"type":"object","properties":{"l":{"type":"array","items":{}}}}`},
		"OpenAI: one of several types is an array": {
			plain, `{"properties":{"l":{"type":["array","null"]}}}`, `{"type":"object","properties":{"l":{"type":["array","null"],"items":{}}}}`,
		},
		"OpenAI: a tuple": {
			plain, `{"properties":{"l":{"type":"array","prefixItems":[{"type":"string"},{"type":"number"}]}}}`,
			`{"type":"object","properties":{"l":{"type":"array","items":{"anyOf":[{"type":"string"},{"type":"number"}]}}}}`,
		},
		"OpenAI: a boolean is an object": {plain, `{"properties":{"a":true,"b":false}}`, `{"type":"object","properties":{"a":{}}}`},
		"OpenAI: alternatives at the top": {
			plain, `{"oneOf":[{"properties":{"a":{"type":"string"}},"required":["a"]},{"properties":{"b":{"type":"string"}},"required":["b"]}]}`,
			`{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},"description":"Needs one of these sets of parameters: a; b."}`,
		},
		"strict: what is optional takes null": {
			strict, `{"properties":{"a":{"type":"string","minLength":2},"b":{"enum":["x"]},"c":{"type":"integer","default":1}},"required":["c"]}`,
			`{"type":"object","additionalProperties":false,"required":["a","b","c"],"properties":{"a":{"type":["string","null"]},"b":{"type":["string","null"],"enum":["x",null]},"c":{"type":"integer"}}}`,
		},
		"strict: definitions": {
			strict, `{"properties":{"a":{"$ref":"#/definitions/n","description":"x"}},"definitions":{"n":{"type":"object","properties":{"next":{"$ref":"#/definitions/n"}}}}}`,
			`{"type":"object","additionalProperties":false,"required":["a"],"properties":{"a":{"anyOf":[{"$ref":"#/$defs/n"},{"type":"null"}]}},
			"$defs":{"n":{"type":"object","additionalProperties":false,"required":["next"],"properties":{"next":{"anyOf":[{"$ref":"#/$defs/n"},{"type":"null"}]}}}}}`,
		},
		"strict: without parameters": {strict, `{}`, `{"type":"object","additionalProperties":false,"required":[],"properties":{}}`},
		"Anthropic: keys": {
			anthropic, `{"properties":{"filter[status]":{"type":"string"},"$top":{"type":"integer"},"a.b":{}},"required":["$top"]}`,
			`{"type":"object","properties":{"filter_status":{"type":"string"},"top":{"type":"integer"},"a.b":{}},"required":["top"]}`,
		},
		"Anthropic: allOf at the top": {
			anthropic, `{"allOf":[{"$ref":"#/$defs/base"},{"properties":{"b":{"type":"string"}}}],"$defs":{"base":{"properties":{"a":{"type":"string"}},"required":["a"]}}}`,
			`{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},"required":["a"],"$defs":{"base":{"properties":{"a":{"type":"string"}},"required":["a"]}}}`,
		},
		"MCP: draft 7": {
			mcp, `{"$schema":"http://json-schema.org/draft-07/schema#","properties":{"t":{"type":"array","items":[{"type":"string"}],"additionalItems":false},"r":{"$ref":"#/definitions/x"}},"definitions":{"x":{"type":"string"}},"dependencies":{"r":["t"]}}`,
			`{"type":"object","properties":{"t":{"type":"array","prefixItems":[{"type":"string"}],"items":false},"r":{"$ref":"#/$defs/x"}},"$defs":{"x":{"type":"string"}},"dependentRequired":{"r":["t"]}}`,
		},
		"MCP: combinators stay": {
			mcp, `{"anyOf":[{"required":["a"]},{"required":["b"]}],"properties":{"a":{},"b":{}}}`,
			`{"type":"object","anyOf":[{"required":["a"]},{"required":["b"]}],"properties":{"a":{},"b":{}}}`,
		},
		"Gemini: its own types": {
			gemini, `{"properties":{"a.b":{"type":["string","null"],"format":"uri","const":"x"},"n":{"enum":[1,2]},"l":{"type":"array"},"o":{"oneOf":[{"type":"string"},{"type":"object","properties":{"x":{"type":"boolean"}}}]}},"required":["n"]}`,
			`{"type":"OBJECT","required":["n"],"properties":{"a_b":{"type":"STRING","nullable":true,"enum":["x"]},"n":{"type":"INTEGER","description":"One of: 1, 2."},
			"l":{"type":"ARRAY","items":{"anyOf":[{"type":"STRING"},{"type":"NUMBER"},{"type":"BOOLEAN"}]}},
			"o":{"anyOf":[{"type":"STRING"},{"type":"OBJECT","properties":{"x":{"type":"BOOLEAN"}}}]}}}`,
		},
		"Gemini: a reference to itself": {
			gemini, `{"properties":{"a":{"$ref":"#/$defs/n"}},"$defs":{"n":{"type":"object","properties":{"next":{"$ref":"#/$defs/n"}}}}}`,
			`{"type":"OBJECT","properties":{"a":{"type":"OBJECT","properties":{"next":{"type":"OBJECT"}}}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) { isJSON(t, row.want, row.render(t, row.schema)) })
	}
}

func TestAToolThatCannotBeExpressedIsSkippedWithAReasonAndSpoilsNothing(t *testing.T) {
	good, anything := toolOf(`{"properties":{"a":{"type":"string"}}}`), toolOf(`{"properties":{"a":{"properties":{"b":{}}}}}`)
	tools, skipped := toolformat.RenderAll([]domain.Tool{anything, good}, toolformat.Options{Format: toolformat.OpenAI, Strict: true})
	require.Len(t, tools, 1)
	require.Equal(t, []toolformat.Skipped{{
		Name: "crm__op", Reason: "Its parameter a.b takes any value, which a strict tool can't express; ask for it without strict.",
	}}, skipped)
	for name, schema := range map[string]string{
		"arbitrary members": `{"properties":{"a":{"type":"object"}}}`, "elements": `{"properties":{"a":{"type":"array"}}}`,
		"levels": `{"properties":{"a":` + strings.Repeat(`{"type":"array","items":`, 12) + `{"type":"string"}` + strings.Repeat(`}`, 12) + `}}`,
	} {
		_, err := toolformat.Render(toolOf(schema), toolformat.Options{Format: toolformat.OpenAI, Strict: true})
		require.ErrorContains(t, err, name)
	}
	wide := `{"$defs":{"a":{"properties":{` // each definition has the one before it ten times
	for n := range 6 {
		wide += strings.Repeat(`"`+strings.Repeat("x", n+1)+`":{"type":"string"},`, 1)
	}
	wide = strings.TrimSuffix(wide, ",") + `}}`
	for n := range 6 {
		before, name := string(rune('a'+n)), string(rune('b'+n))
		wide += `,"` + name + `":{"properties":{`
		for m := range 10 {
			wide += `"p` + string(rune('0'+m)) + `":{"$ref":"#/$defs/` + before + `"},`
		}
		wide = strings.TrimSuffix(wide, ",") + `}}`
	}
	wide += `},"properties":{"a":{"$ref":"#/$defs/g"}}}`
	_, err := toolformat.Render(toolOf(wide), toolformat.Options{Format: toolformat.Gemini})
	require.ErrorContains(t, err, "too many parts")
}

func TestADescriptionIsShortenedForOpenAIAlone(t *testing.T) {
	long := toolOf(`{}`, func(e *domain.Endpoint) { e.Description = strings.Repeat("é", 2048) })
	function := rendered(t, long, toolformat.Options{Format: toolformat.OpenAI})["function"].(map[string]any)
	require.Equal(t, 1024, utf8.RuneCountInString(function["description"].(string)))
	require.Equal(t, long.Description, rendered(t, long, toolformat.Options{Format: toolformat.Anthropic})["description"])
}

func TestAnnotationsComeFromTheMethodUnlessTheEndpointHasItsOwn(t *testing.T) {
	for method, want := range map[string]any{
		"GET": map[string]any{"readOnlyHint": true}, "PUT": map[string]any{"idempotentHint": true},
		"DELETE": map[string]any{"destructiveHint": true}, "POST": nil, "PATCH": nil,
	} {
		tool := toolOf(`{}`, func(e *domain.Endpoint) { e.Method = method })
		got := rendered(t, tool, toolformat.Options{Format: toolformat.MCP})
		require.Equal(t, want, got["annotations"], method)
		require.Equal(t, "op", got["title"])
	}
	tool := toolOf(`{}`, func(e *domain.Endpoint) {
		e.Method, e.Title, e.Annotations = "GET", "Search", &domain.Annotations{ReadOnly: new(false), OpenWorld: new(true)}
	})
	got := rendered(t, tool, toolformat.Options{Format: toolformat.MCP})
	require.Equal(t, map[string]any{"readOnlyHint": false, "openWorldHint": true}, got["annotations"])
	require.Equal(t, "Search", got["title"])
	tool.Integration.Protocol, tool.Endpoint.Annotations = domain.MCP, nil
	require.Empty(t, toolformat.Hints(tool), "the method of an MCP endpoint means nothing")
}

func TestArgumentsAreMappedBack(t *testing.T) {
	const schema = `{"properties":{"filter[status]":{"type":"string"},"filter.status":{},"filter_status":{},"$top":{"type":["integer","null"]},
		"n":{"type":"integer"},"must":{"type":"string"},"any":{},"in":{"$ref":"#/$defs/x"},"l":{"type":"array","items":{"$ref":"#/$defs/x"}},
		"free":{"type":"object","additionalProperties":{"type":"string"}}},"required":["must"],
		"$defs":{"x":{"anyOf":[{"properties":{"a[]":{"type":"string"}}},{"type":"string"}]}}}`
	render := func(f toolformat.Format, member string) []string {
		var names []string
		schema := rendered(t, toolOf(schema), toolformat.Options{Format: f})[member].(map[string]any)
		for name := range schema["properties"].(map[string]any) {
			names = append(names, name)
		}
		return names
	}
	require.Contains(t, render(toolformat.Anthropic, "input_schema"), "filter.status")
	require.NotContains(t, render(toolformat.Gemini, "parameters"), "filter.status")
	for given, want := range map[string]string{
		`{"top":1,"in":{"a":"x"},"l":[{"a":"x"},"y"]}`:   `{"$top":1,"in":{"a[]":"x"},"l":[{"a[]":"x"},"y"]}`,
		`{"$top":1,"filter[status]":"a"}`:                `{"$top":1,"filter[status]":"a"}`,
		`{"filter_status":"a"}`:                          `{"filter_status":"a"}`,
		`{"in":{"a":null},"l":[{"a[]":null}],"un":null}`: `{"in":{"a[]":null},"l":[{"a[]":null}],"un":null}`,
		`{"free":{"top":"x","a":"y"},"top":1,"$top":2}`:  `{"free":{"top":"x","a":"y"},"top":1,"$top":2}`,
	} {
		var arguments map[string]any
		require.NoError(t, json.Unmarshal([]byte(given), &arguments))
		isJSON(t, want, toolformat.Arguments(json.RawMessage(schema), arguments))
		isJSON(t, given, arguments)
	}
	require.Nil(t, toolformat.Arguments(json.RawMessage(schema), nil))
}

func TestANameThatBeginsWithADigitIsMappedForGemini(t *testing.T) {
	require.Equal(t, "_3cx__op", toolformat.GeminiName("3cx__op"))
	require.Equal(t, "3cx__op", toolformat.ToolName("_3cx__op"))
	require.Equal(t, "crm__op", toolformat.ToolName(toolformat.GeminiName("crm__op")))
}

func TestWhatASchemaCostsIsBounded(t *testing.T) {
	many := func(n int, one func(int) string) string {
		all := make([]string, n)
		for k := range all {
			all[k] = one(k)
		}
		return strings.Join(all, ",")
	}
	property := func(k int) string { return fmt.Sprintf(`"p%d":{"type":"string"}`, k) }
	branch := func(k int) string { return fmt.Sprintf(`{"properties":{"a":{"const":%d}}}`, k) }
	double := func(k int) string {
		return fmt.Sprintf(`"d%d":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}],"properties":{"p":{"anyOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]}}}`, k, k+1, k+1, k+1, k+1)
	}
	for name, schema := range map[string]string{
		"alternatives beside properties": `{"properties":{"x":{"properties":{` + many(5000, property) + `},"anyOf":[` + many(5000, branch) + `]}}}`,
		"alternatives at the top":        `{"properties":{` + many(5000, property) + `},"anyOf":[` + many(5000, branch) + `]}`,
		"definitions that double":        `{"$ref":"#/$defs/d0","$defs":{` + many(200, double) + `,"d200":{"type":"string"}}}`,
		"references into each other":     `{"properties":{` + many(300, func(k int) string { return fmt.Sprintf(`"p%d":{"items":{"$ref":"#/properties/p%d"}}`, k, (k+1)%300) }) + `}}`,
		"levels":                         strings.Repeat(`{"properties":{"a":`, 2000) + `{}` + strings.Repeat(`}}`, 2000),
		"levels of allOf":                strings.Repeat(`{"allOf":[`, 2000) + `{}` + strings.Repeat(`]}`, 2000),
	} {
		t.Run(name, func(t *testing.T) {
			tool := toolOf(schema)
			for _, o := range []toolformat.Options{
				{Format: toolformat.OpenAI}, {Format: toolformat.OpenAI, Strict: true}, {Format: toolformat.Anthropic}, {Format: toolformat.MCP}, {Format: toolformat.Gemini},
			} {
				rendered, _ := toolformat.Render(tool, o)
				written, err := json.Marshal(rendered)
				require.NoError(t, err)
				require.Less(t, len(written), 8*len(schema)+(1<<20), "it grows with the schema, not with what that could stand for")
			}
			toolformat.Arguments(json.RawMessage(schema), map[string]any{"x": map[string]any{"a": "1"}, "p0": []any{}, "p": map[string]any{"p": map[string]any{}}})
		})
	}
}
