package openapi

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// repeated returns a format n times, with its number each time.
func repeated(n int, separator, format string) string {
	all := make([]string, n)
	for at := range all {
		all[at] = fmt.Sprintf(format, at)
	}
	return strings.Join(all, separator)
}

// laughs are n lists, each of the one before nine times.
func laughs(n int) string {
	text := "a0: &a0 [lol]\n"
	for at := range n {
		text += fmt.Sprintf("a%d: &a%d [%s]\n", at+1, at+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", at), 9), ", "))
	}
	return text
}

func TestYAMLTakesTimeAndMemoryThatGrowWithItsLengthOnly(t *testing.T) {
	read, err := readYAML(t.Context(), []byte(repeated(40_000, "\n", "k%d: 1"))) // a library that looks for duplicates takes 13 s
	require.NoError(t, err)
	require.Len(t, read, 40_000)
	for name, text := range map[string]string{
		"many values":    "[" + strings.Repeat("{},", 1_300_000) + "{}]",
		"many aliases":   "a: &a [" + strings.Repeat("1,", 1000) + "]\nb: [" + strings.Repeat("*a,", 1000) + "]",
		"aliases double": "a0: &a0 [x]\n" + repeated(40, "\n", "a%[1]d1: &b%[1]d [*a0, *a0]"),
		"laughs":         laughs(30),
	} {
		read, err := readYAML(t.Context(), []byte(text))
		if name == "many values" || name == "many aliases" || name == "laughs" {
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

func TestValuesOfATextInYAMLStayAsTheyAreWritten(t *testing.T) {
	read, err := readYAML(t.Context(), []byte(`%YAML 1.2
---
x: {type: string, enum: [0755, 0x1F, +1, True, 1.10, 1_000, null, 2026-05-06], default: 010}
y: {type: integer, enum: [0x1F], default: True}
z: &z name
w: {*z : 1}
`))
	require.NoError(t, err)
	data, err := json.Marshal(read)
	require.NoError(t, err)
	require.JSONEq(t, `{
		"x": {"type": "string", "enum": ["0755", "0x1F", "+1", "True", "1.10", "1_000", null, "2026-05-06"], "default": "010"},
		"y": {"type": "integer", "enum": [31], "default": true}, "z": "name", "w": {"name": 1}}`, string(data))
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
