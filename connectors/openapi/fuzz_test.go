package openapi

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/connectors/jsonschema"
	"github.com/seed677028b5/integrations/domain"
)

func FuzzAnOperationIsOfferedOrSkipped(f *testing.F) {
	f.Add([]byte(withBody(`{"allOf": [{"$ref": "#/components/schemas/T"}, {"required": ["a"], "oneOf": [{}, {"type": "file"}]}], "nullable": true}`, `, "components": {"schemas": {"T": {"type": "object", "additionalProperties": false, "properties": {"a": {"readOnly": true}}}}}`)))
	f.Add([]byte(`{"swagger": "2.0", "host": "a.example", "basePath": "/v1", "schemes": ["http"], "consumes": ["multipart/form-data"], "paths": {"/a/{b}?c={d}#e": {"parameters": [{"name": "b", "in": "path", "type": "array", "items": {"type": "string"}, "collectionFormat": "tsv"}], "post": {"parameters": [{"name": "f", "in": "formData", "type": "file"}, {"name": "g", "in": "formData", "type": "array", "collectionFormat": "pipes", "items": {"type": "integer"}}]}}}}`))
	f.Add([]byte(`{"openapi": "3.1.0", "servers": [{"url": "{x}", "variables": {"x": {"enum": ["https://b.example"]}}}], "paths": {"/{a}": {"delete": {"parameters": [{"name": "h", "in": "header", "content": {"application/json": {"schema": true}}}, {"name": "q", "in": "query", "style": "deepObject", "schema": {"$ref": "#/paths/~1%7Ba%7D"}}], "requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": {"anyOf": [{"properties": {"a": false}}, {"allOf": [{"properties": {"a": {"items": []}}}]}]}, "encoding": {"a": {"contentType": "application/json"}}}, "*/*": {}}}, "responses": {"200": {"content": {"text/csv": {}}}}}}}}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		d, err := Read(t.Context(), document)
		if err != nil {
			return
		}
		rules := domain.Rules{Schema: func(schema []byte) error { return jsonschema.NewCache().Check(t.Context(), schema) }}
		usable := func(o domain.Offer) []domain.Problem { return o.Problems(rules) }
		for _, o := range d.Operations() {
			offer, reason := d.Offer(t.Context(), o, Context{BaseURL: "https://a.example/v1"}, usable)
			if reason == "" {
				require.Empty(t, usable(offer))
				require.LessOrEqual(t, len(offer.InputSchema), MaxSchema)
			}
		}
	})
}
