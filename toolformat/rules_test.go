package toolformat_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/toolformat"
)

// names are keys that real APIs have, and others.
var names = []string{"a", "b", "name", "a.b", "include[]", "filter[status]", "$top", "type", "X-Id", "é", "a/b", "a~b", "0", "properties", "", strings.Repeat("k", 70)}

// schemas generates schemas of every keyword, some of older drafts and some of which are wrong.
func schemas(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
			return rapid.Bool().Draw(t, "boolean")
		}
		s := map[string]any{}
		inner := func() any {
			if depth == 0 {
				return map[string]any{"type": "string"}
			}
			return schemas(depth-1).Draw(t, "part")
		}
		several := func() []any {
			var all []any
			for range rapid.IntRange(1, 3).Draw(t, "parts") {
				all = append(all, inner())
			}
			return all
		}
		members := func() map[string]any {
			all := map[string]any{}
			for range rapid.IntRange(0, 3).Draw(t, "members") {
				all[rapid.SampledFrom(names).Draw(t, "name")] = inner()
			}
			return all
		}
		keywords := map[string]func() any{
			"type": func() any {
				return rapid.SampledFrom([]any{
					"string", "number", "integer", "boolean", "array", "object", "null", []any{"string", "null"}, []any{"array", "object"}, "file", 5, []any{},
				}).Draw(t, "type")
			},
			"properties": func() any { return members() }, "patternProperties": func() any { return map[string]any{"^x-": inner(), "^(?!y)": inner()} },
			"$defs": func() any { return map[string]any{"d": inner(), "e": inner()} }, "definitions": func() any { return map[string]any{"f": inner()} },
			"required": func() any {
				return rapid.SampledFrom([]any{[]any{"a"}, []any{"include[]", "missing"}, true, []any{}, []any{"a", "a", 1}}).Draw(t, "required")
			},
			"items": func() any {
				return rapid.SampledFrom([]func() any{inner, func() any { return several() }}).Draw(t, "items")()
			},
			"additionalItems": inner, "prefixItems": func() any { return several() }, "additionalProperties": inner,
			"allOf": func() any { return several() }, "anyOf": func() any { return several() }, "oneOf": func() any { return several() },
			"not": inner, "if": inner, "then": inner, "else": inner,
			"$ref": func() any {
				return rapid.SampledFrom([]any{"#", "#/$defs/d", "#/definitions/f", "#/properties/a", "#/allOf/0", "#/$defs/d/properties/a", "other.json", "#nope", 5}).Draw(t, "ref")
			},
			"enum": func() any {
				return rapid.SampledFrom([]any{[]any{"x", "y"}, []any{1, 2}, []any{"x", nil, 1.5}, []any{}, "x", []any{map[string]any{}, []any{}}}).Draw(t, "enum")
			},
			"const":            func() any { return rapid.SampledFrom([]any{"x", 1, nil, true}).Draw(t, "const") },
			"description":      func() any { return rapid.SampledFrom([]any{"About it.", 5}).Draw(t, "description") },
			"pattern":          func() any { return rapid.SampledFrom([]any{"^a+$", "^(?!a)b$", 5}).Draw(t, "pattern") },
			"format":           func() any { return rapid.SampledFrom([]any{"uri", "date-time", "int64"}).Draw(t, "format") },
			"minimum":          func() any { return rapid.SampledFrom([]any{1, "1"}).Draw(t, "minimum") },
			"exclusiveMinimum": func() any { return rapid.SampledFrom([]any{true, 1}).Draw(t, "exclusive") },
			"minLength":        func() any { return rapid.SampledFrom([]any{1, -1, 1.5}).Draw(t, "minLength") },
			"nullable":         func() any { return true }, "example": func() any { return 5 }, "x-mcp-header": func() any { return "X" },
			"default": func() any { return nil }, "$schema": func() any { return "http://json-schema.org/draft-04/schema#" }, "id": func() any { return "x" },
			"dependencies": func() any { return map[string]any{"a": []any{"include[]"}, "$top": inner()} },
		}
		all := make([]string, 0, len(keywords))
		for keyword := range keywords {
			all = append(all, keyword)
		}
		slices.Sort(all)
		for range rapid.IntRange(0, 5).Draw(t, "keywords") {
			keyword := rapid.SampledFrom(all).Draw(t, "keyword")
			s[keyword] = keywords[keyword]()
		}
		return s
	})
}

// generated returns a tool of a generated schema.
func generated(t *rapid.T) domain.Tool {
	schema, ok := schemas(3).Draw(t, "schema").(map[string]any)
	if !ok {
		schema = map[string]any{}
	}
	if rapid.Bool().Draw(t, "typed") {
		schema["type"] = "object"
	}
	written, err := json.Marshal(schema)
	require.NoError(t, err)
	return toolOf(string(written), func(e *domain.Endpoint) {
		e.Path = rapid.SampledFrom([]string{"/x", "/x/{id}", "/x/{a.b}/{0}"}).Draw(t, "path")
		e.Description = strings.Repeat("d", rapid.IntRange(1, 2048).Draw(t, "length"))
	})
}

// parts calls f for a schema and each schema in it, with where it is.
func parts(at string, schema any, f func(at string, schema any)) {
	f(at, schema)
	s, _ := schema.(map[string]any)
	for _, keyword := range []string{"items", "additionalProperties", "not", "if", "then", "else", "propertyNames", "contains"} {
		if part, ok := s[keyword]; ok {
			parts(at+"/"+keyword, part, f)
		}
	}
	for _, keyword := range []string{"properties", "patternProperties", "$defs", "dependentSchemas"} {
		members, _ := s[keyword].(map[string]any)
		for name, part := range members {
			parts(at+"/"+keyword+"/"+name, part, f)
		}
	}
	for _, keyword := range []string{"allOf", "anyOf", "oneOf", "prefixItems"} {
		list, _ := s[keyword].([]any)
		for n, part := range list {
			parts(fmt.Sprintf("%s/%s/%d", at, keyword, n), part, f)
		}
	}
}

// isDraft2020 fails for what is not a JSON Schema 2020-12.
func isDraft2020(t require.TestingT, schema any) {
	written, err := json.Marshal(schema)
	require.NoError(t, err)
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(written)))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	require.NoError(t, c.AddResource("schema:///x", document))
	_, err = c.Compile("schema:///x")
	require.NoError(t, err, string(written))
	require.Equal(t, "object", schema.(map[string]any)["type"])
}

func hasNoCombinator(t require.TestingT, schema map[string]any) {
	for _, keyword := range []string{"oneOf", "anyOf", "allOf", "enum", "not", "$ref"} {
		require.NotContains(t, schema, keyword)
	}
}

var toolName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// openAI holds a tool to the rules of OpenAI's functions.
func openAI(t require.TestingT, tool map[string]any, strict bool) {
	function := tool["function"].(map[string]any)
	require.Regexp(t, toolName, function["name"])
	require.LessOrEqual(t, len([]rune(function["description"].(string))), 1024)
	schema := function["parameters"].(map[string]any)
	isDraft2020(t, schema)
	hasNoCombinator(t, schema)
	parts("", schema, func(at string, part any) {
		s, ok := part.(map[string]any)
		if !ok {
			require.True(t, strings.HasSuffix(at, "/additionalProperties"), "%s is a boolean", at)
			return
		}
		types, _ := s["type"].([]any)
		if s["type"] == "array" || slices.Contains(types, any("array")) {
			require.IsType(t, map[string]any{}, s["items"], at)
		}
		if strict {
			isStrict(t, at, s)
		}
	})
}

var strictKeywords = []string{
	"type", "enum", "anyOf", "$ref", "$defs", "description", "properties", "required", "additionalProperties", "items", "pattern", "format",
	"multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems",
}

// isStrict holds a part to the rules of structured outputs.
func isStrict(t require.TestingT, at string, s map[string]any) {
	for keyword := range s {
		require.Contains(t, strictKeywords, keyword, at)
	}
	if s["$ref"] != nil {
		require.Len(t, s, 1, at)
		return
	}
	require.True(t, s["type"] != nil || s["anyOf"] != nil, "%s takes anything: %v", at, s)
	if s["type"] == "object" {
		require.Equal(t, false, s["additionalProperties"], at)
		properties, required := s["properties"].(map[string]any), s["required"].([]any)
		require.Len(t, required, len(properties), at)
		for name := range properties {
			require.Contains(t, required, name, at)
		}
	}
}

func anthropic(t require.TestingT, tool map[string]any) {
	require.Regexp(t, toolName, tool["name"])
	schema := tool["input_schema"].(map[string]any)
	isDraft2020(t, schema)
	hasNoCombinator(t, schema)
	key := regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,64}$`)
	parts("", schema, func(at string, part any) {
		s, _ := part.(map[string]any)
		properties, _ := s["properties"].(map[string]any)
		for name := range properties {
			require.Regexp(t, key, name, at)
		}
	})
}

// The Schema of the Gemini API.
var geminiKeywords = []string{
	"type", "format", "title", "description", "nullable", "enum", "maxItems", "minItems", "properties", "required", "minProperties",
	"maxProperties", "minLength", "maxLength", "pattern", "anyOf", "items", "minimum", "maximum",
}

func gemini(t require.TestingT, declaration map[string]any) {
	name := regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,63}$`)
	require.Regexp(t, `^[a-zA-Z_][a-zA-Z0-9_.-]{0,63}$`, declaration["name"])
	if declaration["parameters"] == nil {
		return
	}
	require.Equal(t, "OBJECT", declaration["parameters"].(map[string]any)["type"])
	require.NotEmpty(t, declaration["parameters"].(map[string]any)["properties"])
	parts("", declaration["parameters"], func(at string, part any) {
		s := part.(map[string]any)
		for keyword := range s {
			require.Contains(t, geminiKeywords, keyword, at)
		}
		if s["anyOf"] != nil {
			require.Len(t, s, 1, "%s has something beside anyOf: %v", at, s)
			return
		}
		require.Contains(t, []string{"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT"}, s["type"], at)
		if s["type"] == "ARRAY" {
			require.NotEmpty(t, s["items"], at)
		}
		properties, _ := s["properties"].(map[string]any)
		for property := range properties {
			require.Regexp(t, name, property, at)
		}
		required, _ := s["required"].([]any)
		for _, property := range required {
			require.Contains(t, properties, property, at)
		}
		values, _ := s["enum"].([]any)
		for _, value := range values {
			require.Equal(t, "STRING", s["type"], at)
			require.NotEmpty(t, value, at)
		}
	})
}

func TestEveryFormatHoldsItsRulesForAnySchema(t *testing.T) {
	strictly := 0
	rapid.Check(t, func(t *rapid.T) {
		tool := generated(t)
		openAI(t, rendered(t, tool, toolformat.Options{Format: toolformat.OpenAI}), false)
		anthropic(t, rendered(t, tool, toolformat.Options{Format: toolformat.Anthropic}))
		isDraft2020(t, rendered(t, tool, toolformat.Options{Format: toolformat.MCP})["inputSchema"])
		if declaration, err := toolformat.Render(tool, toolformat.Options{Format: toolformat.Gemini}); err == nil {
			gemini(t, decoded(t, declaration))
		}
		if definition, err := toolformat.Render(tool, toolformat.Options{Format: toolformat.OpenAI, Strict: true}); err == nil {
			strictly++
			openAI(t, decoded(t, definition), true)
		}
	})
	require.Positive(t, strictly)
}

func TestRenamedKeysAreMappedBackForAnySchema(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		properties := map[string]any{}
		for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom(append(names, "include", "filter_status", "top", "a_b")), rapid.ID).Draw(t, "names") {
			properties[name] = map[string]any{"type": "string", "description": name}
		}
		written, err := json.Marshal(map[string]any{"properties": properties, "additionalProperties": false})
		require.NoError(t, err)
		tool := toolOf(string(written))
		for format, member := range map[toolformat.Format]string{toolformat.Anthropic: "input_schema", toolformat.Gemini: "parameters"} {
			schema, _ := rendered(t, tool, toolformat.Options{Format: format})[member].(map[string]any)
			offered, _ := schema["properties"].(map[string]any)
			require.Len(t, offered, len(properties))
			given, want := map[string]any{}, map[string]any{}
			for name, property := range offered {
				original := property.(map[string]any)["description"].(string)
				given[name], want[original] = original, original
			}
			require.Equal(t, want, toolformat.Arguments(tool.InputSchema, given))
			require.Equal(t, want, toolformat.Arguments(tool.InputSchema, want), "the originals are accepted too")
		}
	})
}
