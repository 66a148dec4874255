package connectors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

// repeated returns a format n times, with its number each time.
func repeated(n int, separator, format string) string {
	all := make([]string, n)
	for at := range all {
		all[at] = fmt.Sprintf(format, at)
	}
	return strings.Join(all, separator)
}

func TestYAMLTakesTimeAndMemoryThatGrowWithItsLengthOnly(t *testing.T) {
	read, err := readYAML(t.Context(), []byte(repeated(40_000, "\n", "k%d: 1"))) // a library that looks for duplicates takes 13 s
	require.NoError(t, err)
	require.Len(t, read, 40_000)
	for name, text := range map[string]string{
		"many values":    "[" + strings.Repeat("{},", 1_300_000) + "{}]",
		"many aliases":   "a: &a [" + strings.Repeat("1,", 1000) + "]\nb: [" + strings.Repeat("*a,", 1000) + "]",
		"aliases double": "a0: &a0 [x]\n" + repeated(40, "\n", "a%[1]d1: &b%[1]d [*a0, *a0]"),
	} {
		read, err := readYAML(t.Context(), []byte(text))
		if name == "many values" {
			require.ErrorIs(t, err, errYAMLTooMuch, name)
			continue
		}
		require.NoError(t, err, name)
		require.NotEmpty(t, read)
	}
	for name, text := range map[string]string{
		"deep":              strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
		"deep in a block":   strings.Repeat("- ", 5000) + "a",
		"itself":            "a: &a [*a]",
		"a name twice":      "a: 1\nb: 2\na: 3",
		"a name that is no": "[1]: 2",
		"no mapping":        "<<: 1",
		"no anchor":         "a: *b",
		"a tag":             "a: !!int x",
	} {
		_, err := readYAML(t.Context(), []byte(text))
		require.Error(t, err, name)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	_, err = readYAML(ended, []byte(repeated(40_000, "\n", "k%d: 1")))
	require.ErrorIs(t, err, context.Canceled)
}

func TestYAMLIsReadAsJSON(t *testing.T) {
	read, err := readYAML(t.Context(), []byte(`
a: &a {x: 1, y: [true, no, null, ~, 0x10, 1_000, 1.50, .inf, "2", 2026-05-06]}
b: {<<: *a, x: 2}
c: {<<: [*a, {z: 3}]}
200: ok
e: &e
f: *e
`))
	require.NoError(t, err)
	data, err := json.Marshal(read)
	require.NoError(t, err)
	require.JSONEq(t, `{
		"a": {"x": 1, "y": [true, "no", null, null, 16, 1000, 1.50, ".inf", "2", "2026-05-06"]},
		"b": {"x": 2, "y": [true, "no", null, null, 16, 1000, 1.50, ".inf", "2", "2026-05-06"]},
		"c": {"x": 1, "y": [true, "no", null, null, 16, 1000, 1.50, ".inf", "2", "2026-05-06"], "z": 3},
		"200": "ok", "e": null, "f": null}`, string(data))
}

func TestCompilingASchemaIsBounded(t *testing.T) {
	for name, schema := range map[string]string{
		"patterns that repeat":      `{"patternProperties": {` + repeated(200, ",", `"^k%d(a{1,30}){1,30}$": {}`) + `}}`,
		"one pattern that repeats":  `{"pattern": "((a{1,10}){1,10}){1,10}(b{1,999}){1,1}` + strings.Repeat("(c{900})", 20) + `"}`,
		"the same in a format":      `{"properties": {"a": {"patternProperties": {"` + strings.Repeat("x{1000}", 100) + `": {}}}}}`,
		"many values":               `{"enum": [` + strings.Repeat("1,", maxSchemaValues) + `1]}`,
		"a number beyond reason":    `{"minimum": 1e-999999}`,
		"a number with many digits": `{"const": 1` + strings.Repeat("0", 500) + `}`,
	} {
		_, err := compileSchema(t.Context(), []byte(schema))
		require.Error(t, err, name)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	_, err := compileSchema(ended, []byte(`{"patternProperties": {`+repeated(100, ",", `"^k%d(a{1,20})$": {}`)+`}}`))
	require.Error(t, err)
	for _, schema := range []string{
		`{"patternProperties": {` + repeated(200, ",", `"^k%d[a-z]{1,20}$": {"type": "string"}`) + `}}`,
		`{"enum": [` + repeated(3000, ",", `"%d"`) + `]}`, `{"pattern": "^[A-Z]{3}-\\d{1,500}$"}`,
	} {
		_, err := compileSchema(t.Context(), []byte(schema))
		require.NoError(t, err)
	}
}

func TestHoldingASchemaAgainstParametersIsBounded(t *testing.T) {
	list := func(n int, format string) any {
		var v any
		d := json.NewDecoder(strings.NewReader("[" + repeated(n, ",", format) + "]"))
		d.UseNumber()
		require.NoError(t, d.Decode(&v))
		return v
	}
	next := func(n int) string { // n0 leads to d1, and so on
		all := make([]string, n)
		for at := range all {
			all[at] = fmt.Sprintf(`"n%d": {"$ref": "#/$defs/d%d"}`, at, at+1)
		}
		return strings.Join(all, ",")
	}
	for name, row := range map[string]struct {
		schema string
		value  any
	}{
		"an enum of numbers for each element": {`{"properties": {"v": {"items": {"enum": [` + repeated(3000, ",", "%d") + `]}}}}`, list(3000, "1%d.5")},
		"the same by reference": {
			`{"$defs": {"e": {"enum": [` + repeated(3000, ",", "%d") + `]}}, "properties": {"v": {"items": {"anyOf": [{"$ref": "#/$defs/e"}, {"type": "string"}]}}}}`, list(3000, "1%d.5"),
		},
		"patterns for each member":  {`{"properties": {"v": {"items": {"patternProperties": {` + repeated(200, ",", `"(x|y)*a{1,100}%d$": {}`) + `}}}}}`, list(2000, `{"`+strings.Repeat("xy", 100)+`": %d}`)},
		"a pattern for a long text": {`{"properties": {"v": {"items": {"pattern": "^(a|b|ab)*(c{1,500})$"}}}}`, list(20, `"`+strings.Repeat("ab", 10_000)+`%d"`)},
		"unique lists":              {`{"properties": {"v": {"allOf": [` + repeated(200, ",", `{"uniqueItems": true, "title": "%d"}`) + `]}}}`, list(20_000, `{"a": [%d, 1]}`)},
		"members that depend": {
			`{"$defs": {` + repeated(40, ",", `"d%[1]d": {"dependentSchemas": {"a": {"$ref": "#/$defs/e%[1]d"}, "b": {"$ref": "#/$defs/e%[1]d"}}}`) + `, ` +
				repeated(39, ",", `"e%[1]d": {"$ref": "#/$defs/n%[1]d"}`) + `, "e39": {"required": ["c"]}, ` + next(39) + `}, "properties": {"v": {"items": {"not": {"$ref": "#/$defs/d0"}}}}}`,
			list(1, `{"a": %d, "b": 1}`),
		},
	} {
		s, err := compileSchema(t.Context(), []byte(row.schema))
		require.NoError(t, err, name)
		require.ErrorIs(t, s.validate(t.Context(), map[string]any{"v": row.value}), errTooMuch, name)
		require.NoError(t, s.validate(t.Context(), map[string]any{}), name)
	}
	s, err := compileSchema(t.Context(), []byte(`{"properties": {"v": {"items": {"enum": [`+repeated(300, ",", "%d")+`]}}}}`))
	require.NoError(t, err)
	require.NoError(t, s.validate(t.Context(), map[string]any{"v": list(300, "%d")}), "an ordinary list")
	ended, end := context.WithCancel(t.Context())
	end()
	require.ErrorIs(t, s.validate(ended, map[string]any{"v": list(300, "%d")}), errTooMuch, "nobody waits any more")
	problems, f := newSchemas().checkParams(t.Context(), domain.Endpoint{InputSchema: []byte(`{"type": "object"}`)}, map[string]any{"a/b": []any{json.Number("1e-999999")}})
	require.Nil(t, f)
	require.Equal(t, []domain.Problem{{Pointer: "/params/a~1b/0", Code: "number_too_large", Detail: "has too many digits"}}, problems)
}

func TestAnExpressionEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		time.Sleep(2 * time.Second)
		many := make([]any, 20_000)
		for n := range many {
			many[n] = float64(n)
		}
		_, err := evaluate("[*].{a: @}", many, newMeter(ctx))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, f := shape(ctx, domain.Endpoint{ResultKey: "[*].{a: @}"}, many, true)
		require.NotNil(t, f)
	})
}

func TestADiscoveryEndsWithItsContext(t *testing.T) {
	ended, end := context.WithCancelCause(t.Context())
	end(errors.New("nobody waits any more"))
	for _, text := range []string{"openapi: 3.0.0\npaths:\n  /a: {get: {summary: a}}\n", `{"openapi": "3.0.0", "paths": {"/a": {"get": {"summary": "a"}}}}`} {
		found, err := onLoopback(t).Discover(ended, domain.Integration{Configuration: domain.Configuration{Protocol: domain.REST, BaseURL: "http://127.0.0.1:1"}}, nil, domain.Description{Text: []byte(text)})
		require.NoError(t, err)
		require.Equal(t, domain.CallTimeout, found.ErrorCode)
		require.Empty(t, found.Offers)
	}
}
