package jsonschema_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/connectors/jsonschema"
	"github.com/seed677028b5/integrations/connectors/jsonvalue"
)

func TestNullIsLeftOutWhereNoSchemaOfTheMemberTakesIt(t *testing.T) {
	const object = `{"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}`
	of := func(schema string) string { return `{"properties": {"o": ` + schema + `}}` }
	for name, row := range map[string]struct{ schema, params, cleaned string }{
		"an object":                       {of(object), `{"o": {"a": null, "b": "x"}}`, `{"o": {"b": "x"}}`},
		"elements":                        {of(`{"items": ` + object + `}`), `{"o": [{"a": null}, {"b": null}]}`, `{"o": [{}, {}]}`},
		"an alternative":                  {of(`{"anyOf": [` + object + `, {"type": "string"}]}`), `{"o": {"a": null, "b": "x"}}`, `{"o": {"b": "x"}}`},
		"an alternative that takes it":    {of(`{"oneOf": [` + object + `, {"properties": {"a": {"type": "null"}}}]}`), `{"o": {"a": null}}`, `{"o": {"a": null}}`},
		"an alternative that requires it": {of(`{"anyOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}, ` + object + `]}`), `{"o": {"a": null}}`, `{"o": {}}`},
		"a part":                          {of(`{"allOf": [` + object + `, {"anyOf": [{"required": ["b"]}]}]}`), `{"o": {"a": null, "b": "x"}}`, `{"o": {"b": "x"}}`},
		"a part that requires it":         {of(`{"allOf": [` + object + `, {"required": ["a"]}]}`), `{"o": {"a": null}}`, `{"o": {"a": null}}`},
		"a part that refuses it":          {of(`{"allOf": [` + object + `, {"properties": {"a": {"type": ["string", "null"]}}}]}`), `{"o": {"a": null}}`, `{"o": {}}`},
		"inside alternatives":             {of(`{"anyOf": [{"items": {"anyOf": [` + object + `, {"type": "null"}]}}, {"type": "null"}]}`), `{"o": [{"a": null}, null]}`, `{"o": [{}, null]}`},
		"what no schema describes":        {of(`{"additionalProperties": {"type": "string"}}`), `{"o": {"a": null}}`, `{"o": {"a": null}}`},
		"alternatives of themselves":      {`{"anyOf": [{"$ref": "#"}, {"properties": {"a": {"type": "string"}}}]}`, `{"a": null}`, `{}`},
	} {
		given, _ := jsonvalue.Decode([]byte(row.params))
		made, err := jsonvalue.Compact(jsonschema.WithoutNulls([]byte(row.schema), given.(map[string]any)))
		require.NoError(t, err)
		require.JSONEq(t, row.cleaned, made, name)
	}
}
