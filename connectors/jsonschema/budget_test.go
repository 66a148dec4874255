package jsonschema

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

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

func TestCompilingASchemaIsBounded(t *testing.T) {
	for name, schema := range map[string]string{
		"patterns that repeat":      `{"patternProperties": {` + repeated(200, ",", `"^k%d(a{1,30}){1,30}$": {}`) + `}}`,
		"one pattern that repeats":  `{"pattern": "((a{1,10}){1,10}){1,10}(b{1,999}){1,1}` + strings.Repeat("(c{900})", 20) + `"}`,
		"the same in a format":      `{"properties": {"a": {"patternProperties": {"` + strings.Repeat("x{1000}", 100) + `": {}}}}}`,
		"many values":               `{"enum": [` + strings.Repeat("1,", maxSchemaValues) + `1]}`,
		"a number beyond reason":    `{"minimum": 1e-999999}`,
		"a number with many digits": `{"const": 1` + strings.Repeat("0", 500) + `}`,
	} {
		_, err := compile(t.Context(), []byte(schema))
		require.Error(t, err, name)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	_, err := compile(ended, []byte(`{"patternProperties": {`+repeated(100, ",", `"^k%d(a{1,20})$": {}`)+`}}`))
	require.Error(t, err)
	for _, schema := range []string{
		`{"patternProperties": {` + repeated(200, ",", `"^k%d[a-z]{1,20}$": {"type": "string"}`) + `}}`,
		`{"enum": [` + repeated(3000, ",", `"%d"`) + `]}`, `{"pattern": "^[A-Z]{3}-\\d{1,500}$"}`,
	} {
		_, err := compile(t.Context(), []byte(schema))
		require.NoError(t, err)
	}
}

func TestValidatingIsBounded(t *testing.T) {
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
		s, err := compile(t.Context(), []byte(row.schema))
		require.NoError(t, err, name)
		require.ErrorIs(t, s.validate(t.Context(), map[string]any{"v": row.value}), ErrTooMuch, name)
		require.NoError(t, s.validate(t.Context(), map[string]any{}), name)
	}
	s, err := compile(t.Context(), []byte(`{"properties": {"v": {"items": {"enum": [`+repeated(300, ",", "%d")+`]}}}}`))
	require.NoError(t, err)
	require.NoError(t, s.validate(t.Context(), map[string]any{"v": list(300, "%d")}), "an ordinary list")
	ended, end := context.WithCancel(t.Context())
	end()
	require.ErrorIs(t, s.validate(ended, map[string]any{"v": list(300, "%d")}), ErrTooMuch, "nobody waits any more")
	problems, err := NewCache().Validate(t.Context(), []byte(`{"type": "object"}`), map[string]any{"a/b": []any{json.Number("1e-999999")}}, "/params")
	require.NoError(t, err)
	require.Equal(t, []domain.Problem{{Pointer: "/params/a~1b/0", Code: "number_too_large", Detail: "has too many digits"}}, problems)
}
