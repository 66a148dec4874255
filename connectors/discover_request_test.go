package connectors

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

// callOffered discovers a document, creates an integration with its only endpoint, and
// returns what the upstream got of a call, with a note if there is one.
func callOffered(t *testing.T, document, params string) (seen, domain.Offer) {
	t.Helper()
	base, last := recorder(t)
	document = strings.ReplaceAll(document, "BASE", base)
	c := calling(base, nil, nil)
	found := discovered(t, c, domain.Description{Text: []byte(document)})
	require.Empty(t, found.Error)
	require.Len(t, found.Offers, 1, "skipped: %v", found.Skipped)
	offer := found.Offers[0]
	requireAccepted(t, c.Integration, offer)
	data, err := json.Marshal(offer)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &c.Endpoint))
	if c.Endpoint.Body != nil {
		c.Endpoint.BodyFormat = domain.JSONBody
	}
	c.Endpoint.TimeoutMS = 10_000
	given, _ := jsonvalue.Decode([]byte(params))
	c.Params, _ = given.(map[string]any)
	succeeds(t, onLoopback(t), c)
	return last(), offer
}

// operation is a document of OpenAPI 3.0 with one operation at a path.
func operation(method, path, members string) string {
	return fmt.Sprintf("openapi: 3.0.3\npaths:\n  %s:\n    %s: {operationId: op, %s}\n", path, method, members)
}

func TestARequestIsWhatTheDocumentDescribes(t *testing.T) {
	const list, object, text = "{type: array, items: {type: string}}", "{type: object, properties: {a: {type: string}, b: {type: integer}}}", "{type: string}"
	parameters := func(all ...string) string { return "parameters: [" + strings.Join(all, ", ") + "]" }
	body := func(mediaType, schema string) string {
		return "requestBody: {content: {'" + mediaType + "': {schema: " + schema + "}}}"
	}
	swagger := func(method, members string) string {
		return "swagger: '2.0'\nbasePath: /v1\npaths:\n  /things:\n    " + method + ": {operationId: op, " + members + "}\n"
	}
	for name, row := range map[string]struct{ document, params, request string }{
		"a query parameter of a write":          {operation("post", "/things", parameters("{name: notify, in: query, schema: {type: boolean}}")+", "+body("application/json", "{type: object, properties: {name: "+text+"}}")), `{"notify": true, "name": "x"}`, `POST /things?notify=true {"name":"x"}`},
		"a list that is not exploded":           {operation("get", "/things", parameters("{name: fields, in: query, explode: false, schema: "+list+"}")), `{"fields": ["a", "b,c"]}`, `GET /things?fields=a,b%2Cc`},
		"a list of nothing":                     {operation("get", "/things", parameters("{name: fields, in: query, explode: false, schema: "+list+"}")), `{"fields": []}`, `GET /things`},
		"a member without a name":               {operation("post", "/things", body("application/json", "{type: object, properties: {'': {type: string}}}")), `{"": "x"}`, `POST /things {"":"x"}`},
		"a list between pipes":                  {operation("get", "/things", parameters("{name: f, in: query, style: pipeDelimited, schema: "+list+"}")), `{"f": ["a", "b"]}`, `GET /things?f=a%7Cb`},
		"a list between spaces":                 {operation("get", "/things", parameters("{name: f, in: query, style: spaceDelimited, schema: "+list+"}")), `{"f": ["a", "b"]}`, `GET /things?f=a%20b`},
		"a deep object":                         {operation("get", "/things", parameters("{name: f, in: query, style: deepObject, explode: true, schema: "+object+"}")), `{"f": {"a": "x", "b": 1}}`, `GET /things?f%5Ba%5D=x&f%5Bb%5D=1`},
		"an object as members of the query":     {operation("get", "/things", parameters("{name: f, in: query, schema: "+object+"}")), `{"f": {"a": "x", "b": 1}}`, `GET /things?a=x&b=1`},
		"reserved characters":                   {operation("get", "/things", parameters("{name: f, in: query, allowReserved: true, schema: "+text+"}")), `{"f": "a/b:c&d"}`, `GET /things?f=a/b:c%26d`},
		"a parameter of JSON":                   {operation("get", "/things", parameters("{name: f, in: query, content: {application/json: {schema: "+object+"}}}")), `{"f": {"a": "x"}}`, `GET /things?f=%7B%22a%22%3A%22x%22%7D`},
		"a list of objects in the query":        {operation("get", "/things", parameters("{name: f, in: query, schema: {type: array, items: "+object+"}}")), `{"f": [{"b": 1}]}`, `GET /things?f=%5B%7B%22b%22%3A1%7D%5D`},
		"a list in the path":                    {operation("get", "/things/{ids}", parameters("{name: ids, in: path, required: true, schema: "+list+"}")), `{"ids": ["a", "b"]}`, `GET /things/a,b`},
		"a matrix in the path":                  {operation("get", "/things/{id}", parameters("{name: id, in: path, required: true, style: matrix, schema: "+text+"}")), `{"id": "a"}`, `GET /things/;id=a`},
		"a placeholder of another form":         {operation("get", "'/things/{thing id}/{+more}'", parameters("{name: thing id, in: path, required: true, schema: "+text+"}, {name: more, in: path, schema: "+text+"}")), `{"thing_id": "a", "more": "b"}`, `GET /things/a/b`},
		"a placeholder without a parameter":     {operation("get", "/things/{id}", "summary: x"), `{"id": "a"}`, `GET /things/a`},
		"headers and cookies":                   {operation("get", "/things", parameters("{name: X-Ids, in: header, schema: "+list+"}", "{name: c, in: cookie, schema: "+text+"}")), `{"X-Ids": ["a", "b"], "c": "d"}`, `GET /things X-Ids: a,b Cookie: c=d`},
		"a required header with one value":      {operation("get", "/things", parameters("{name: X-Version, in: header, required: true, schema: {type: string, enum: [2024-10-01]}}")), `{}`, `GET /things X-Version: 2024-10-01`},
		"a version in Accept":                   {operation("get", "/things", parameters("{name: Accept, in: header, required: true, schema: {type: string, default: application/vnd.x+json;version=2}}")), `{}`, `GET /things Accept: application/vnd.x+json;version=2`},
		"a version in Accept beside JSON":       {operation("get", "/things", parameters("{name: Accept, in: header, schema: {type: string, default: application/vnd.x+json;version=2}}")+", responses: {'200': {content: {application/json: {}}}}"), `{}`, `GET /things Accept: application/vnd.x+json;version=2, application/json`},
		"a response that is no JSON":            {operation("get", "/things", "responses: {'200': {content: {text/csv: {}, application/pdf: {}}}, default: {content: {application/json: {}}}}"), `{}`, `GET /things Accept: application/pdf, text/csv`},
		"JSON of a vendor":                      {operation("patch", "/things", body("application/vnd.api+json", object)), `{"a": "x"}`, `PATCH /things {"a":"x"} Content-Type: application/vnd.api+json`},
		"JSON with a charset":                   {operation("post", "/things", body("application/json; charset=utf-8", object)), `{"a": "x"}`, `POST /things {"a":"x"} Content-Type: application/json; charset=utf-8`},
		"a merge patch":                         {operation("patch", "/things", body("application/merge-patch+json", object)), `{"a": "x"}`, `PATCH /things {"a":"x"} Content-Type: application/merge-patch+json`},
		"a merge patch beside others":           {operation("patch", "/things", "requestBody: {content: {application/json-patch+json: {}, application/vnd.x+json: {}, application/merge-patch+json: {schema: "+object+"}}}"), `{"a": "x"}`, `PATCH /things {"a":"x"} Content-Type: application/merge-patch+json`},
		"an empty body of a GET":                {operation("get", "/things", parameters("{name: q, in: query, schema: "+text+"}")+", "+body("application/x-www-form-urlencoded", "{type: object, properties: {}}")), `{"q": "x"}`, `GET /things?q=x`},
		"any media type":                        {operation("post", "/things", body("*/*", object)), `{"a": "x"}`, `POST /things {"a":"x"} Content-Type: application/json`},
		"a list as the body":                    {operation("post", "/things", body("application/json", list)), `{"body": ["a"]}`, `POST /things ["a"] Content-Type: application/json`},
		"alternatives as the body":              {operation("post", "/things", body("application/json", "{oneOf: ["+object+", "+text+"]}")), `{"body": "a"}`, `POST /things "a" Content-Type: application/json`},
		"a body that takes anything":            {operation("post", "/things", body("application/json", "{}")), `{"body": 1}`, `POST /things 1`},
		"an allOf as the body":                  {operation("post", "/things", body("application/json", "{allOf: ["+object+", {type: object, properties: {c: "+text+"}, required: [c]}]}")), `{"a": "x", "c": "y"}`, `POST /things {"a":"x","c":"y"}`},
		"a body of a DELETE":                    {operation("delete", "/things", parameters("{name: q, in: query, schema: "+text+"}")+", "+body("application/json", object)), `{"q": "x", "a": "y"}`, `DELETE /things?q=x {"a":"y"}`},
		"no body":                               {operation("post", "/things", parameters("{name: q, in: query, schema: "+text+"}")), `{"q": "x"}`, `POST /things?q=x`},
		"a text":                                {operation("post", "/things", body("text/plain", text)), `{"body": "a b"}`, `POST /things a b Content-Type: text/plain`},
		"XML":                                   {operation("post", "/things", body("application/xml", object)), `{"body": "<a/>"}`, `POST /things <a/> Content-Type: application/xml`},
		"bytes":                                 {operation("put", "/things", body("application/octet-stream", "{type: string, format: binary}")), `{"body": "AGE="}`, "PUT /things \x00a Content-Type: application/octet-stream"},
		"base64 in place of bytes":              {operation("put", "/things", body("image/jpeg", "{type: string, format: byte}")), `{"body": "AGE="}`, "PUT /things AGE= Content-Type: image/jpeg"},
		"a text of an unknown type":             {operation("put", "/things", body("application/jwt", text)), `{"body": "a b"}`, "PUT /things a b Content-Type: application/jwt"},
		"lines of JSON":                         {operation("post", "/things", body("application/ndjson", list)), `{"body": "{}\n{}\n"}`, "POST /things {}\n{}\n Content-Type: application/ndjson"},
		"an object as YAML":                     {operation("post", "/things", body("application/x-yaml", object)), `{"a": "x"}`, `POST /things {"a":"x"} Content-Type: application/x-yaml`},
		"a list as YAML":                        {operation("post", "/things", body("text/yaml", list)), `{"body": ["x"]}`, `POST /things ["x"] Content-Type: text/yaml`},
		"a form beside YAML":                    {operation("post", "/things", "requestBody: {content: {application/yaml: {schema: "+object+"}, application/x-www-form-urlencoded: {schema: "+object+"}}}"), `{"a": "x"}`, `POST /things a=x Content-Type: application/x-www-form-urlencoded`},
		"an object as bytes":                    {operation("post", "/things", body("application/octet-stream", object)), `{"a": "x"}`, `POST /things {"a":"x"} Content-Type: application/json`},
		"a form":                                {operation("post", "/things", body("application/x-www-form-urlencoded", "{type: object, properties: {a: "+text+", l: "+list+"}}")), `{"a": "x y", "l": ["1", "2"]}`, `POST /things a=x+y&l=1&l=2 Content-Type: application/x-www-form-urlencoded`},
		"a form with a deep object":             {operation("post", "/things", "requestBody: {content: {application/x-www-form-urlencoded: {schema: {type: object, properties: {m: "+object+"}}, encoding: {m: {style: deepObject, explode: true}}}}}"), `{"m": {"a": "x"}}`, `POST /things m%5Ba%5D=x`},
		"a form with an object":                 {operation("post", "/things", body("application/x-www-form-urlencoded", "{type: object, properties: {m: "+object+"}}")), `{"m": {"a": "x"}}`, `POST /things m=%7B%22a%22%3A%22x%22%7D`},
		"a form with a list between commas":     {operation("post", "/things", "requestBody: {content: {application/x-www-form-urlencoded: {schema: {type: object, properties: {l: "+list+"}}, encoding: {l: {explode: false}}}}}"), `{"l": ["a", "b"]}`, `POST /things l=a,b`},
		"one name in path and body":             {operation("put", "'/things/{id}'", parameters("{name: id, in: path, required: true, schema: "+text+"}")+", "+body("application/json", "{type: object, properties: {id: {type: integer}, a: "+text+"}, required: [id]}")), `{"id": 7, "a": "x"}`, `PUT /things/7 {"a":"x","id":7}`},
		"one name with other values in a body":  {operation("put", "'/things/{id}'", parameters("{name: id, in: path, required: true, schema: "+text+"}")+", "+body("application/json", "{type: object, properties: {id: "+list+"}}")), `{"id": "7", "body_id": ["x"]}`, `PUT /things/7 {"id":["x"]}`},
		"one name in three places":              {operation("get", "'/things/{id}'", parameters("{name: id, in: path, required: true, schema: "+text+"}", "{name: id, in: query, schema: "+text+"}", "{name: id, in: header, schema: "+text+"}")), `{"id": "1", "query_id": "2", "header_id": "3"}`, `GET /things/1?id=2 Id: 3`},
		"the query of a path":                   {operation("get", "'/things?action=list'", parameters("{name: action, in: query, schema: "+text+"}", "{name: q, in: query, schema: "+text+"}")), `{"q": "x"}`, `GET /things?action=list&q=x`},
		"the fragment of a path":                {operation("post", "'/things#archive'", "summary: x"), `{}`, `POST /things`},
		"the server of an operation":            {operation("post", "/files", "servers: [{url: 'BASE/upload'}]"), `{}`, `POST /upload/files`},
		"a server with a variable":              {"servers: [{url: '/{stage}/api', variables: {stage: {default: v3}}}]\n" + operation("get", "/things", "summary: x"), `{}`, `GET /v3/api/things`},
		"several servers":                       {"servers: [{url: 'https://a.example'}, {url: 'BASE/v2'}]\n" + operation("get", "/things", "summary: x"), `{}`, `GET /v2/things`},
		"what is only for responses":            {operation("post", "/things", body("application/json", "{type: object, required: [id, a], properties: {id: {type: string, readOnly: true}, a: "+text+"}}")), `{"a": "x"}`, `POST /things {"a":"x"}`},
		"a whole query":                         {strings.Replace(operation("get", "/things", parameters("{name: q, in: querystring, content: {application/x-www-form-urlencoded: {schema: "+object+"}}}")), "3.0.3", "3.2.0", 1), `{"a": "x", "b": 2}`, `GET /things?a=x&b=2`},
		"Swagger: lists":                        {swagger("get", parameters("{name: c, in: query, type: array, items: {type: string}}", "{name: m, in: query, type: array, items: {type: string}, collectionFormat: multi}", "{name: p, in: query, type: array, items: {type: string}, collectionFormat: pipes}", "{name: s, in: query, type: array, items: {type: string}, collectionFormat: ssv}", "{name: t, in: query, type: array, items: {type: string}, collectionFormat: tsv}")), `{"c": ["1", "2"], "m": ["1", "2"], "p": ["1", "2"], "s": ["1", "2"], "t": "1\t2"}`, `GET /v1/things?c=1,2&m=1&m=2&p=1%7C2&s=1%202&t=1%092`},
		"Swagger: a body":                       {swagger("post", "consumes: [application/vnd.x+json], "+parameters("{name: payload, in: body, required: true, schema: {type: object, properties: {a: {type: string}}}}", "{name: q, in: query, type: integer}")), `{"a": "x", "q": 1}`, `POST /v1/things?q=1 {"a":"x"} Content-Type: application/vnd.x+json`},
		"Swagger: consumes nothing named":       {strings.Replace(swagger("post", "consumes: [], "+parameters("{name: payload, in: body, schema: {type: object, properties: {a: {type: string}}}}")), "paths:", "consumes: [application/xml]\npaths:", 1), `{"a": "x"}`, `POST /v1/things {"a":"x"} Content-Type: application/json`},
		"Swagger: a form":                       {swagger("post", parameters("{name: a, in: formData, type: string}", "{name: l, in: formData, type: array, items: {type: integer}}")), `{"a": "x", "l": [1, 2]}`, `POST /v1/things a=x&l=1,2 Content-Type: application/x-www-form-urlencoded`},
		"Swagger: what produces":                {swagger("get", "produces: [application/xml]"), `{}`, `GET /v1/things Accept: application/xml`},
		"a reference with escapes and an index": {operation("get", "/things", parameters("{$ref: '#/components/x%7Ey/0/~1p'}")) + "components: {x~y: [{/p: {name: q, in: query, schema: {type: string}}}]}\n", `{"q": "x"}`, `GET /things?q=x`},
		"a name that YAML reads as a number":    {operation("post", "/things", body("application/json", "{type: object, properties: {a: {type: string, enum: [1, on, 2024-10-01]}}}")), `{"a": "1"}`, `POST /things {"a":"1"}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, offer := callOffered(t, row.document, row.params)
			method, rest, _ := strings.Cut(row.request, " ")
			require.Equal(t, method, got.Method)
			made := got.URI
			if got.Body != "" {
				made += " " + got.Body
			}
			for _, header := range []string{"Content-Type", "Accept", "X-Ids", "X-Version", "Id", "Cookie"} {
				if strings.Contains(rest, " "+header+": ") {
					made += " " + header + ": " + got.Header.Get(header)
				}
			}
			require.Equal(t, rest, made, "%+v", offer)
		})
	}
}

func TestAFileTravelsAsAPart(t *testing.T) {
	for _, document := range []string{
		operation("post", "/files", "requestBody: {content: {application/x-www-form-urlencoded: {schema: {$ref: '#/components/schemas/F'}}, multipart/form-data: {schema: {$ref: '#/components/schemas/F'}, encoding: {file: {contentType: image/png}}}}}") +
			"components: {schemas: {F: {type: object, required: [file], properties: {file: {type: string, format: binary}, tags: {type: array, items: {type: string}}, more: {type: object}}}}}\n",
	} {
		got, _ := callOffered(t, document, `{"file": "AGE=", "tags": ["x", "y"], "more": {"a": 1}}`)
		require.Contains(t, got.Header.Get("Content-Type"), "multipart/form-data; boundary=")
		require.Contains(t, got.Body, "name=\"file\"; filename=\"file\"\r\nContent-Type: image/png\r\n\r\n\x00a\r\n")
		require.Contains(t, got.Body, "name=\"more\"\r\nContent-Type: application/json\r\n\r\n{\"a\":1}\r\n")
		require.Equal(t, 2, strings.Count(got.Body, "name=\"tags\""))
	}
	for _, schema := range []string{"{type: string, format: binary, nullable: true}", "{anyOf: [{type: string, format: binary}, {type: 'null'}]}", "{type: [string, 'null'], contentMediaType: application/octet-stream}"} {
		document := operation("post", "/files", "requestBody: {content: {application/x-www-form-urlencoded: {schema: {$ref: '#/F'}}, multipart/form-data: {schema: {$ref: '#/F'}}}}") +
			"F: {type: object, properties: {file: " + schema + ", more: {anyOf: [{type: array, items: {type: string, format: binary}}, {type: 'null'}]}}}\n"
		got, _ := callOffered(t, strings.Replace(document, "3.0.3", "3.1.0", 1), `{"file": "AGE=", "more": ["AGI="]}`)
		require.Contains(t, got.Body, "name=\"file\"; filename=\"file\"\r\nContent-Type: application/octet-stream\r\n\r\n\x00a\r\n", schema)
		require.Contains(t, got.Body, "name=\"more\"; filename=\"more\"\r\nContent-Type: application/octet-stream\r\n\r\n\x00b\r\n", schema)
	}
	got, offer := callOffered(t, operation("post", "/notes", "requestBody: {content: {application/form-data: {schema: {type: object, properties: {note: {type: string}}}}}}"), `{"note": "x"}`)
	require.Contains(t, got.Header.Get("Content-Type"), "multipart/form-data; boundary=")
	require.Contains(t, got.Body, "name=\"note\"\r\n\r\nx\r\n")
	require.Equal(t, []string{"the body travels as multipart/form-data: application/form-data can't be made of parameters"}, offer.Notes)
	got, offer = callOffered(t, operation("post", "/notes", "requestBody: {content: {application/msgpack: {schema: {type: object, properties: {note: {type: string}}}}}}"), `{"body": "AGE="}`)
	require.Equal(t, "\x00a", got.Body)
	require.Equal(t, []string{"the body takes a file: application/msgpack can't be made of parameters"}, offer.Notes)
	got, _ = callOffered(t, "swagger: '2.0'\npaths:\n  /files:\n    post: {parameters: [{name: file, in: formData, type: file, required: true}, {name: ids, in: formData, type: array, items: {type: string}}]}\n", `{"file": "AGE=", "ids": "1,2"}`)
	require.Contains(t, got.Body, "name=\"file\"; filename=\"file\"\r\nContent-Type: application/octet-stream\r\n\r\n\x00a\r\n")
	require.Contains(t, got.Body, "name=\"ids\"\r\n\r\n1,2\r\n")
}
