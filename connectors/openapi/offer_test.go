package openapi

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/connectors/jsonschema"
	"github.com/seed677028b5/integrations/domain"
)

// offersOf returns the offers of a document by name, and what is skipped.
func offersOf(t *testing.T, document string) (map[string]domain.Offer, map[string]string) {
	t.Helper()
	d, err := Read(t.Context(), []byte(document))
	require.NoError(t, err)
	rules := domain.Rules{Schema: func(schema []byte) error { return jsonschema.NewCache().Check(t.Context(), schema) }}
	offers, skipped := map[string]domain.Offer{}, map[string]string{}
	for _, o := range d.Operations() {
		offer, reason := d.Offer(t.Context(), o, Context{BaseURL: "https://a.example/v1", AuthHeader: "X-Key", AuthQuery: "key"}, func(o domain.Offer) []domain.Problem { return o.Problems(rules) })
		if reason != "" {
			skipped[o.Title()] = reason
			continue
		}
		require.NotContains(t, offers, offer.Name)
		require.Empty(t, offer.Problems(rules), offer.Name)
		offers[offer.Name] = offer
	}
	return offers, skipped
}

// withBody is a document whose one operation has a body with this schema.
func withBody(schema, more string) string {
	return `{"openapi": "3.0.3", "paths": {"/a": {"post": {"operationId": "op", "requestBody": {"content": {"application/json": {"schema": ` + schema + `}}}}}}` + more + `}`
}

func TestABadPartCostsThatPartOnly(t *testing.T) {
	for name, row := range map[string]struct{ bad, more, kept, note string }{
		"an index in a reference":     {`{"$ref": "#/components/schemas/T/allOf/0"}`, `, "components": {"schemas": {"T": {"allOf": [{"type": "string"}]}}}`, `{"type":"string"}`, ""},
		"a percent-encoded reference": {`{"$ref": "#/components/schemas/a%20%7Bb%7D~1c"}`, `, "components": {"schemas": {"a {b}/c": {"type": "string"}}}`, `{"type":"string"}`, ""},
		"a missing reference":         {`{"$ref": "#/components/schemas/T"}`, "", `{}`, "leads to nothing"},
		"an external reference":       {`{"$ref": "common.yaml#/Id", "description": "An id."}`, "", `{"description":"An id."}`, "leads out of the document"},
		"a reference to itself":       {`{"$ref": "#/components/schemas/T"}`, `, "components": {"schemas": {"T": {"$ref": "#/components/schemas/T"}}}`, `{}`, "is cut where it refers to itself"},
		"a tree":                      {`{"$ref": "#/components/schemas/T"}`, `, "components": {"schemas": {"T": {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}, "next": {"$ref": "#/components/schemas/T"}}}}}`, `{"properties":{"a":{"type":"string"},"next":{"properties":{"a":{"type":"string"}},"required":["a"],"type":"object"}},"required":["a"],"type":"object"}`, "is cut where it refers to itself"},
		"a lookahead":                 {`{"type": "string", "pattern": "^(?!tmp)[a-z]+$"}`, "", `{"type":"string"}`, "can't be checked here"},
		"required: true":              {`{"type": "string", "required": true}`, "", `{"type":"string"}`, "required of body/odd is left out"},
		"an unknown type":             {`{"type": "money", "maxLength": 3}`, "", `{"maxLength":3}`, "there is no such type"},
		"limits that are none":        {`{"type": "string", "maxLength": "3", "minLength": -1, "enum": [], "multipleOf": 0, "uniqueItems": 1}`, "", `{"type":"string"}`, "maxLength of body/odd is left out"},
		"a schema that is a text":     {`"string"`, "", `{}`, "is not an object"},
		"no schema at all":            {`null`, "", `{}`, ""},
		"a schema that takes nothing": {`false`, "", `{"not":{}}`, ""},
		"limits that exclude":         {`{"type": "number", "minimum": 0, "exclusiveMinimum": true, "maximum": 9, "exclusiveMaximum": false}`, "", `{"exclusiveMinimum":0,"maximum":9,"type":"number"}`, ""},
		"nullable":                    {`{"type": "string", "nullable": true, "enum": ["a"]}`, "", `{"enum":["a",null],"type":["string","null"]}`, ""},
		"nullable beside a reference": {`{"$ref": "#/components/schemas/T", "nullable": true}`, `, "components": {"schemas": {"T": {"type": "string", "enum": ["a"]}}}`, `{"enum":["a",null],"type":["string","null"]}`, ""},
		"nullable around an allOf":    {`{"allOf": [{"$ref": "#/components/schemas/T"}], "nullable": true}`, `, "components": {"schemas": {"T": {"type": "object", "properties": {"a": {}}}}}`, `{"properties":{"a":{}},"type":["object","null"]}`, ""},
		"nullable around parts":       {`{"allOf": [{"type": "string", "minLength": 1}, {"type": "string", "maxLength": 2}], "nullable": true, "description": "x"}`, "", `{"anyOf":[{"allOf":[{"minLength":1,"type":"string"},{"maxLength":2,"type":"string"}]},{"type":"null"}],"description":"x"}`, ""},
		"nullable alternatives":       {`{"oneOf": [{"type": "string"}, {"type": "integer"}], "nullable": true}`, "", `{"anyOf":[{"type":"string"},{"type":"integer"},{"type":"null"}]}`, ""},
		"texts for numbers":           {`{"type": "integer", "enum": ["1", 2, "three"]}`, "", `{"enum":[1,2,"three"],"type":"integer"}`, ""},
		"texts for booleans":          {`{"type": "boolean", "enum": ["true"]}`, "", `{"enum":[true],"type":"boolean"}`, ""},
		"a reference as it is":        {`{"$ref": "#/components/schemas/a%2Fb"}`, `, "components": {"schemas": {"a%2Fb": {"type": "string"}}}`, `{"type":"string"}`, ""},
		"data":                        {`{"default": {"example": 1, "nullable": true, "$ref": "x"}, "enum": [{"example": 1, "nullable": true}], "example": 1}`, "", `{"default":{"$ref":"x","example":1,"nullable":true},"enum":[{"example":1,"nullable":true}]}`, ""},
		"properties called keywords":  {`{"type": "object", "properties": {"example": {"type": "string"}, "nullable": {"type": "boolean"}, "$ref": {"type": "string"}}}`, "", `{"properties":{"$ref":{"type":"string"},"example":{"type":"string"},"nullable":{"type":"boolean"}},"type":"object"}`, ""},
		"an array of anything":        {`{"type": "array"}`, "", `{"items":{},"type":"array"}`, ""},
		"a tuple of a former draft":   {`{"type": "array", "items": [{"type": "string"}]}`, "", `{"prefixItems":[{"type":"string"}],"type":"array"}`, ""},
		"one of several":              {`{"oneOf": [{"type": "string"}, {"type": "integer"}]}`, "", `{"anyOf":[{"type":"string"},{"type":"integer"}]}`, ""},
		"a described reference":       {`{"allOf": [{"$ref": "#/components/schemas/T"}], "description": "Mine."}`, `, "components": {"schemas": {"T": {"type": "string", "description": "All."}}}`, `{"description":"Mine.","type":"string"}`, ""},
		"numbers for texts":           {`{"type": "string", "enum": [1, true, "a"]}`, "", `{"enum":["1","true","a"],"type":"string"}`, ""},
		"another dialect":             {`{"$schema": "http://json-schema.org/draft-04/schema#", "$id": "https://a.example/x", "$dynamicRef": "#no", "type": "string"}`, "", `{"type":"string"}`, "its reference can't be followed"},
		"no required names":           {`{"type": "object", "required": [1, "a", "a"], "properties": {"a": {}}}`, "", `{"properties":{"a":{}},"required":["a"],"type":"object"}`, ""},
		"an id of what is referred to": {
			`{"type": "object", "required": ["id", "type"], "properties": {"id": {"type": "string", "readOnly": true}, "at": {"type": "string", "readOnly": true}, "type": {"type": "string"}}}`, "",
			`{"properties":{"id":{"type":"string"},"type":{"type":"string"}},"required":["type"],"type":"object"}`, "",
		},
		"an allOf with what only responses have": {
			`{"allOf": [{"required": ["id", "a"]}, {"type": "object", "properties": {"id": {"type": "string", "readOnly": true}, "a": {"type": "string"}}}]}`, "",
			`{"properties":{"a":{"type":"string"},"id":{"type":"string"}},"required":["a"],"type":"object"}`, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			offers, skipped := offersOf(t, withBody(`{"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "odd": `+row.bad+`}}`, row.more))
			require.Empty(t, skipped)
			require.JSONEq(t, `{"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "odd": `+row.kept+`}}`, string(offers["op"].InputSchema))
			if notes := strings.Join(offers["op"].Notes, "; "); row.note == "" {
				require.Empty(t, notes)
			} else {
				require.Contains(t, notes, row.note)
			}
		})
	}
}

func TestWhatIsTooLargeIsSimplified(t *testing.T) {
	wide := make([]string, 300)
	for n := range wide {
		wide[n] = fmt.Sprintf(`"p%d": {"$ref": "#/components/schemas/T%d"}`, n, (n+1)%5)
	}
	components := make([]string, 5)
	for n := range components {
		components[n] = fmt.Sprintf(`"T%d": {"type": "object", "description": "%s", "properties": {%s}}`, n, strings.Repeat("x", 500), strings.Join(wide[:20], ","))
	}
	offers, skipped := offersOf(t, withBody(`{"type": "object", "required": ["p7"], "properties": {`+strings.Join(wide, ",")+`}}`, `, "components": {"schemas": {`+strings.Join(components, ",")+`}}`))
	require.Empty(t, skipped)
	require.LessOrEqual(t, len(offers["op"].InputSchema), MaxSchema)
	require.NotEmpty(t, offers["op"].Notes)
	var schema struct {
		Properties map[string]any
		Required   []string
	}
	require.NoError(t, json.Unmarshal(offers["op"].InputSchema, &schema))
	require.Len(t, schema.Properties, 300)
	require.Equal(t, []string{"p7"}, schema.Required)
	require.Equal(t, "object", schema.Properties["p1"].(map[string]any)["type"])

	offers, _ = offersOf(t, withBody(`{"type": "object", "properties": {"a": {"enum": ["`+strings.Repeat("x", MaxSchema)+`"]}, "b": {"type": "string"}}}`, ""))
	require.JSONEq(t, `{"type": "object", "properties": {"a": {}, "b": {"type": "string"}}}`, string(offers["op"].InputSchema))
}

func TestOneLargeValueIsNotWalkedForEachOperation(t *testing.T) {
	large := `[` + strings.TrimSuffix(strings.Repeat(`{"a": [1, 2, 3]},`, 100_000), ",") + `]`
	paths := repeated(300, ", ", `"/p%d": {"get": {"parameters": [{"$ref": "#/components/parameters/q"}]}}`)
	offers, skipped := offersOf(t, `{"openapi": "3.0.3", "paths": {`+paths+`}, "components": {"parameters": {"q": {"name": "q", "in": "query", "schema": {"default": `+large+`}}}}}`)
	require.Empty(t, skipped)
	require.Len(t, offers, 300)
	require.JSONEq(t, `{"type": "object", "properties": {"q": {}}}`, string(offers["get_p7"].InputSchema))
}

func TestAServerOfAnOperationIsSeenFromTheIntegration(t *testing.T) {
	offers, _ := offersOf(t, `{"openapi": "3.0.3", "servers": [{"url": "/v2"}], "paths": {
		"/a": {"get": {"operationId": "root"}}, "/b": {"get": {"operationId": "own", "servers": [{"url": "/upload"}]}},
		"/c": {"servers": [{"url": "../v3/"}], "get": {"operationId": "path"}}, "/d": {"get": {"operationId": "inside", "servers": [{"url": "/v1/x"}]}}}}`)
	at := map[string]string{}
	for name, offer := range offers {
		at[name] = offer.BaseURL + " " + offer.Path
	}
	require.Equal(t, map[string]string{"root": " /a", "own": "https://a.example/upload /b", "path": "https://a.example/v3/ /c", "inside": " /x/d"}, at)
	require.Len(t, offers["root"].Notes, 1)
}

func TestATextInPlaceOfAServerIsNoPath(t *testing.T) {
	offers, _ := offersOf(t, `{"openapi": "3.1.0", "servers": [{"url": "https://b.example/sync"}, {"url": "/v1/<local-terminal-IP-address>"}], "paths": {
		"/a": {"get": {"operationId": "root"}}, "/b": {"get": {"operationId": "own", "servers": [{"url": "your host"}]}}}}`)
	require.Equal(t, "https://b.example/sync /a", offers["root"].BaseURL+" "+offers["root"].Path)
	require.Equal(t, " /b", offers["own"].BaseURL+" "+offers["own"].Path)
	require.Equal(t, []string{`its server "your host" can't be called as it stands: the base URL of the integration is used`}, offers["own"].Notes)
}

func TestOfAServerByBothSchemesHTTPSIsTaken(t *testing.T) {
	offers, _ := offersOf(t, `{"openapi": "3.0.3", "servers": [{"url": "http://{r}.b.example/v1", "variables": {"r": {"default": "eu"}}}, {"url": "https://c.example"}, {"url": "https://eu.b.example/v1"}],
		"paths": {"/a": {"get": {"operationId": "both"}}, "/b": {"get": {"operationId": "plain", "servers": [{"url": "http://d.example"}, {"url": "https://e.example"}]}}}}`)
	require.Equal(t, "https://eu.b.example/v1", offers["both"].BaseURL)
	require.Equal(t, "http://d.example", offers["plain"].BaseURL)
}

func TestAHostOfSwaggerMayBeAURL(t *testing.T) {
	for members, base := range map[string]string{
		`"host": "https://b.example/", "basePath": "v3"`:                       "https://b.example/v3",
		`"host": "http://b.example", "schemes": ["https"], "basePath": "/v3/"`: "https://b.example/v3",
		`"host": "b.example"`: "https://b.example",
	} {
		offers, skipped := offersOf(t, `{"swagger": "2.0", `+members+`, "paths": {"/a": {"get": {"operationId": "op"}}}}`)
		require.Empty(t, skipped)
		require.Equal(t, base, offers["op"].BaseURL, members)
	}
}

func TestNothingIsLeftOutInSilence(t *testing.T) {
	offers, skipped := offersOf(t, `
openapi: 3.2.0
paths:
  x-note: 1
  /a: {get: {operationId: same}, head: {}, query: {operationId: q}, additionalOperations: {COPY: {}}}
  /b: {get: {operationId: same}, post: 1}
  /a/b: {get: {}}
  /a_b: {get: {}}
  /猫: {get: {}}
  /犬: {get: {}}
  /gone: {$ref: '#/nowhere'}
  /brace{: {get: {}}
  /../up: {get: {}}
  /needs: {get: {parameters: [{name: Host, in: header, required: true, schema: {type: string}}]}}
  /may: {get: {operationId: may, parameters: [{name: X-Forwarded-For, in: header, schema: {type: string}}, {name: X-Key, in: header, required: true}, {name: key, in: query}, {name: id, in: path}, {$ref: '#/gone'}, {name: z, in: matrix}, {name: Authorization, in: header, required: true, schema: {type: string}}]}}
  /related: {post: {requestBody: {required: true, content: {multipart/related: {schema: {type: object}}}}}}
`)
	names := []string{}
	for name := range offers {
		names = append(names, name)
	}
	require.ElementsMatch(t, []string{"same", "get_b", "get_a_b", "get_a_b_2", "get", "get_2", "may"}, names)
	for title, reason := range map[string]string{
		"HEAD /a": "an endpoint can't have its method", "QUERY /a": "an endpoint can't have its method", "COPY /a": "an endpoint can't have its method",
		"POST /b": "the operation is not an object", "/gone": `the path item refers to "#/nowhere", which leads to nothing`,
		"GET /brace{": "its path has a brace that is not part of a placeholder", "GET /../up": "path must not have . or .. in it",
		"GET /needs":    `it needs the header parameter "Host": is a header that callers can't set`,
		"POST /related": `it needs the body parameter "body": its media type can't be sent: "multipart/related"`,
	} {
		require.Equal(t, reason, skipped[title], title)
		delete(skipped, title)
	}
	require.Empty(t, skipped)
	require.JSONEq(t, `{"type": "object", "properties": {}}`, string(offers["may"].InputSchema))
	require.ElementsMatch(t, []string{
		`the header parameter "X-Forwarded-For" is left out: is a header that callers can't set`, `the header "X-Key" is left out: auth sets it`, `the parameter "key" is left out: auth sets it`,
		`the path parameter "id" is left out: the path has no such placeholder`, `a parameter is left out: it refers to "#/gone", which leads to nothing`, `the matrix parameter "z" is left out: there is no such place as "matrix"`,
	}, offers["may"].Notes)
}

func TestAHostileDocumentStaysWithinItsBudget(t *testing.T) {
	parts := strings.Repeat(`{"$ref": "#/components/schemas/T"},`, 2000) + `{}`
	for name, document := range map[string]string{
		"allOf of itself":  withBody(`{"$ref": "#/components/schemas/T"}`, `, "components": {"schemas": {"T": {"allOf": [`+parts+`], "properties": {"a": {"$ref": "#/components/schemas/T"}}}}}`),
		"a chain":          withBody(`{"$ref": "#/components/schemas/T0"}`, `, "components": {"schemas": {`+repeated(20_000, ",", `"T%[1]d": {"$ref": "#/components/schemas/T%[1]d0"}`)+`}}`),
		"doubling":         withBody(`{"$ref": "#/components/schemas/T0"}`, `, "components": {"schemas": {"T40": {}`+doubling(40)+`}}`),
		"many parameters":  `{"openapi": "3.1.0", "paths": {"/a": {"get": {"operationId": "op", "parameters": [` + repeated(5000, ",", `{"name": "p%d", "in": "query", "schema": {"type": "string"}}`) + `]}}}}`,
		"many servers":     `{"openapi": "3.1.0", "servers": [` + repeated(5000, ",", `{"url": "https://{v%d}.example"}`) + `], "paths": {"/a": {"get": {"operationId": "op"}}}}`,
		"many media types": `{"openapi": "3.1.0", "paths": {"/a": {"post": {"operationId": "op", "requestBody": {"content": {` + repeated(5000, ",", `"a/x%d": {}`) + `}}}}}}`,
		"deep":             withBody(strings.Repeat(`{"properties": {"a": `, 3000)+`{}`+strings.Repeat(`}}`, 3000), ""),
	} {
		t.Run(name, func(t *testing.T) {
			offers, _ := offersOf(t, document)
			require.Contains(t, offers, "op")
			require.LessOrEqual(t, len(offers["op"].InputSchema), MaxSchema)
		})
	}
	d, err := Read(t.Context(), []byte(`{"openapi": "3.1.0", "paths": {`+repeated(20_000, ",", `"/\u%04x": {"$ref": "#/x"}`)+`}, "x": {"get": {"operationId": "猫", "description": "`+strings.Repeat("x", 1<<20)+`"}}}`))
	require.NoError(t, err)
	all := d.Operations()
	require.Len(t, all, 20_000)
	require.Equal(t, "get_19", all[20_000-1].Name[:6], "names that fall together take a number, in a time that grows with how many there are")
	_, skipped := offersOf(t, `{"openapi": "3.1.0", "paths": {"/`+repeated(100_000, "/", "{p%d}")+`": {"get": {}}}}`)
	require.Len(t, skipped, 1)

	ended, end := context.WithCancel(t.Context())
	end()
	d, err = Read(t.Context(), []byte(withBody(`{}`, "")))
	require.NoError(t, err)
	_, reason := d.Offer(ended, d.Operations()[0], Context{}, func(domain.Offer) []domain.Problem { return nil })
	require.Equal(t, "reading it took too long", reason)
}

// doubling returns schemas that each have the next one twice.
func doubling(n int) string {
	var b strings.Builder
	for at := range n {
		fmt.Fprintf(&b, `, "T%d": {"type": "object", "properties": {"a": {"$ref": "#/components/schemas/T%d"}, "b": {"$ref": "#/components/schemas/T%d"}}}`, at, at+1, at+1)
	}
	return b.String()
}
