package jsonvalue_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
)

func TestAValueIsWrittenAsItWasRead(t *testing.T) {
	for body, want := range map[string]string{
		` {"n": 9007199254740993, "f": 1.10, "h": "<&>"} `: `{"f":1.10,"h":"<&>","n":9007199254740993}`,
		"null": "null", "": "null", "  ": "null", `"a"`: `"a"`,
		"plain": `"plain"`, "{} {}": `"{} {}"`, "a\xff": "\"a\uFFFD\"",
	} {
		value, _ := jsonvalue.Decode([]byte(body))
		got, err := jsonvalue.Compact(value)
		require.NoError(t, err)
		require.Equal(t, want, got, body)
	}
}

func TestADocumentHasNoMoreValuesThanMarksAndOne(t *testing.T) {
	for document, values := range map[string]int{`1`: 1, `[1,2,3]`: 4, `{"a":{"b":[]}}`: 3, "- a\n- b\n": 3, "a: 1\nb: 2": 3} {
		require.GreaterOrEqual(t, jsonvalue.CountMarks([]byte(document))+1, values, document)
	}
}

func TestAScalarIsTextAndNothingElseIs(t *testing.T) {
	for want, v := range map[string]any{"a": "a", "true": true, "1.10": json.Number("1.10"), "0.5": 0.5, "7": 7} {
		got, ok := jsonvalue.Scalar(v)
		require.True(t, ok)
		require.Equal(t, want, got)
	}
	for _, v := range []any{nil, []any{}, map[string]any{}} {
		_, ok := jsonvalue.Scalar(v)
		require.False(t, ok)
	}
}

func TestALongTextIsAbbreviatedByCharacters(t *testing.T) {
	require.Equal(t, "äö…", jsonvalue.Abbreviate("äöü", 2))
	require.Equal(t, "äöü", jsonvalue.Abbreviate("äöü", 3))
}
