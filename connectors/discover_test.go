package connectors

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/connectors/openapi"
	"github.com/seed677028b5/integrations/domain"
)

const petStore = `
openapi: 3.1.0
servers: [{url: /v2}]
paths:
  /zoo:
    get: {operationId: getPet}
  /pets/{petId}:
    parameters:
      - {name: petId, in: path, required: true, schema: {type: integer}}
    get:
      operationId: getPet
      summary: Get a pet.
  /pets:
    get:
      operationId: list pets!
      description: List pets.
      parameters:
        - {name: limit, in: query, description: How many., schema: {type: integer, example: 3}}
        - {name: X-Trace, in: header, schema: {type: string}}
    post:
      requestBody: {$ref: '#/components/requestBodies/Pet'}
  /login:
    post:
      requestBody: {content: {application/x-www-form-urlencoded: {schema: {type: object, properties: {user: {type: string, nullable: true}}}}}}
components:
  requestBodies:
    Pet: {content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}}}
  schemas:
    Pet: {type: object, required: [name], properties: {name: {type: string, example: Rex}, example: {type: string}, parent: {$ref: '#/components/schemas/Pet'}}}
`

func discovered(t *testing.T, c domain.Call, d domain.Description) domain.Discovery {
	t.Helper()
	found, err := onLoopback(t).Discover(t.Context(), c.Integration, c.Keyring, d)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func offered(found domain.Discovery) map[string]domain.Offer {
	all := map[string]domain.Offer{}
	for _, o := range found.Offers {
		all[o.Name] = o
	}
	return all
}

func schemaOf(t *testing.T, o domain.Offer) map[string]any {
	t.Helper()
	if err := Rules().Schema(o.InputSchema); err != nil {
		t.Errorf("%s has a schema that can't be used: %v", o.Name, err)
	}
	var schema map[string]any
	if err := json.Unmarshal(o.InputSchema, &schema); err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestTheOperationsOfADescriptionAreOffered(t *testing.T) {
	base := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the description was fetched with credentials")
		}
		_, _ = w.Write([]byte(petStore))
	})
	c := signedBy(calling(base, nil, nil), domain.Auth{Type: domain.BearerToken}, "token-1")
	for _, d := range []domain.Description{{Text: []byte(petStore)}, {URL: base + "/openapi.yaml"}} {
		all := offered(discovered(t, c, d))
		get, list, create, login := all["getPet"], all["list_pets"], all["post_pets"], all["post_login"]
		if len(all) != 5 || all["get_zoo"].Path != "/v2/zoo" {
			t.Fatalf("offered are %v", all)
		}
		if get.Method != "GET" || get.Path != "/v2/pets/{petId}" || list.Path != "/v2/pets" || list.Description != "List pets." {
			t.Errorf("got %+v and %+v", get, list)
		}
		if p, _ := schemaOf(t, list)["properties"].(map[string]any); len(p) != 2 || p["limit"].(map[string]any)["description"] != "How many." {
			t.Errorf("list takes %v", p)
		}
		pet := schemaOf(t, create)
		if p := pet["properties"].(map[string]any); p["example"] == nil || p["name"].(map[string]any)["example"] != nil {
			t.Errorf("a pet has %v", p)
		}
		if required, _ := pet["required"].([]any); len(required) != 1 || required[0] != "name" || create.BodyFormat != "json" {
			t.Errorf("create takes %v", pet)
		}
		if schemaOf(t, login); login.BodyFormat != "form" {
			t.Errorf("login travels as %s", login.BodyFormat)
		}
	}
}

// nasty are operations that can't be endpoints as they stand, in both versions
// of OpenAPI 3.
const nasty = `
openapi: 3.0.3
paths:
  /limits:
    get: {operationId: limits, parameters: [
      {name: above, in: query, schema: {type: number, minimum: 0, exclusiveMinimum: true}},
      {name: upTo, in: query, schema: {type: number, maximum: 9, exclusiveMaximum: false}},
      {name: below, in: query, schema: {type: number, exclusiveMaximum: true}},
      {name: new, in: query, schema: {type: number, exclusiveMinimum: 3}}]}
  /ahead:
    get: {operationId: ahead, parameters: [{name: q, in: query, schema: {type: string, pattern: '^(?=x)'}}]}
  /upload:
    post: {operationId: upload, requestBody: {content: {application/json: {schema: {type: object, properties: {f: {type: file}}}}}}}
  /required:
    post: {operationId: required, requestBody: {content: {application/json: {schema: {type: object, properties: {f: {type: string, required: true}}}}}}}
  /text:
    post: {operationId: text, requestBody: {content: {application/json: {schema: {type: string}}}}}
  /elsewhere:
    get: {operationId: elsewhere, parameters: [{name: q, in: query, schema: {$id: 'https://a.example/', $dynamicRef: '#no'}}]}
  /infinite:
    get: {operationId: infinite, parameters: [{name: q, in: query, schema: {default: .inf, 7: x}}]}
  '/pets/{pet id}': {get: {operationId: spaced}}
  '/pets/{pet': {get: {operationId: open}}
  '/a/../b': {get: {operationId: up}}
  '/a#b': {get: {operationId: fragment}}
  '//a.example/b': {get: {operationId: away}}
`

func TestEveryOfferIsAcceptedAsAnEndpoint(t *testing.T) {
	documents := []string{
		nasty, strings.Replace(nasty, "3.0.3", "3.1.0", 1), petStore,
		`{"openapi": "3.0.0", "paths": {"/` + strings.Repeat("p", 2048) + `": {"get": {"operationId": "long"}}, "/b": {"get": {"operationId": "` + strings.Repeat("n", 200) + `", "summary": "` + strings.Repeat("é", 3000) + `"}}}}`,
	}
	for _, text := range documents {
		c := calling("https://a.example/v1", nil, nil)
		found := discovered(t, c, domain.Description{Text: []byte(text)})
		for _, o := range found.Offers {
			requireAccepted(t, c.Integration, o)
		}
	}
	all := offered(discovered(t, calling("https://a.example", nil, nil), domain.Description{Text: []byte(nasty)}))
	found := discovered(t, calling("https://a.example", nil, nil), domain.Description{Text: []byte(nasty)})
	if len(all) != 9 || len(found.Skipped) != 3 || found.Total != 12 {
		t.Errorf("offered are %v, skipped %v of %d", all, found.Skipped, found.Total)
	}
	limits, _ := json.Marshal(schemaOf(t, all["limits"])["properties"])
	if string(limits) != `{"above":{"exclusiveMinimum":0,"type":"number"},"below":{"type":"number"},"new":{"exclusiveMinimum":3,"type":"number"},"upTo":{"maximum":9,"type":"number"}}` {
		t.Errorf("the limits are %s", limits)
	}
	if ahead := all["ahead"]; string(ahead.InputSchema) != `{"properties":{"q":{"type":"string"}},"type":"object"}` || len(ahead.Notes) != 1 {
		t.Errorf("got %+v", ahead)
	}
}

func TestAnOfferIsCalledAtTheServerOfItsDescription(t *testing.T) {
	const base = "https://a.example/v1"
	for server, want := range map[string][2]string{
		"":                              {"", "/pets"},
		"/":                             {"", "/pets"},
		"/v1/eu":                        {"", "/eu/pets"},
		"https://a.example/v1/":         {"", "/pets"},
		"https://A.example:443/v1/eu":   {"", "/eu/pets"},
		"https://a.example/v2":          {"https://a.example/v2", "/pets"},
		"https://a.example/v12":         {"https://a.example/v12", "/pets"},
		"https://b.example/v1":          {"https://b.example/v1", "/pets"},
		"//b.example":                   {"https://b.example", "/pets"},
		"http://a.example/v1":           {"http://a.example/v1", "/pets"},
		"https://{region}.a.example/v1": {"", "/pets"},
		"ftp://b.example":               {"", "/pets"},
		"https://b.example:70000x":      {"", "/pets"},
	} {
		c := calling(base, nil, nil)
		document, _ := json.Marshal(map[string]any{"openapi": "3.1.0", "servers": []any{map[string]any{"url": server}}, "paths": map[string]any{"/pets": map[string]any{"get": map[string]any{}}}})
		found := discovered(t, c, domain.Description{Text: document})
		if len(found.Offers) != 1 {
			t.Fatalf("%s: offered are %v", server, found.Offers)
		}
		o := found.Offers[0]
		if got := [2]string{o.BaseURL, o.Path}; got != want {
			t.Errorf("from a server at %q it is offered at %q, want %q", server, got, want)
		}
		requireAccepted(t, c.Integration, o)
	}

	at := answers(t, 200, `{"openapi": "3.1.0", "paths": {"/pets": {"get": {}}}}`)
	found := discovered(t, calling(at, nil, nil), domain.Description{URL: at + "/openapi.json"})
	if len(found.Offers) != 1 || found.Offers[0].Path != "/pets" || found.Offers[0].BaseURL != "" {
		t.Errorf("without a server it is offered as %+v", found.Offers)
	}
}

// requireAccepted creates an integration with what was offered, as it is sent.
func requireAccepted(t *testing.T, i domain.Integration, o domain.Offer) {
	t.Helper()
	data, err := json.Marshal(map[string]any{"name": "crm", "display_name": "CRM", "base_url": i.BaseURL, "endpoints": []domain.Offer{o}})
	if err != nil {
		t.Fatal(err)
	}
	read := json.NewDecoder(bytes.NewReader(data))
	read.UseNumber()
	var doc domain.Document
	if err := read.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	if _, err := (domain.Integration{}).Create("acme", doc, domain.Attempt{At: noon}, Rules()); err != nil {
		t.Errorf("%s is offered and refused: %v", o.Name, err)
	}
}

func TestADescriptionThatIsNoneIsRefused(t *testing.T) {
	bombs := strings.Repeat("a: &a [x,x,x,x,x,x,x,x,x]\n", 1) + "b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n"
	for _, text := range []string{"", "x", "[1]", "openapi: 2.0", "openapi: 3.0.0", `{"openapi": "3.0.0", "paths": []}`, "\x00", bombs} {
		c := calling("https://a.example", nil, nil)
		_, err := onLoopback(t).Discover(t.Context(), c.Integration, nil, domain.Description{Text: []byte(text + " ")})
		if domain.KindOf(err) != domain.Invalid {
			t.Errorf("%q came to %v", text, err)
		}
	}
	c := calling("https://a.example", nil, nil)
	if _, err := onLoopback(t).Discover(t.Context(), c.Integration, nil, domain.Description{}); domain.KindOf(err) != domain.Invalid {
		t.Errorf("a REST API without a description came to %v", err)
	}
}

func TestSchemasThatReferToThemselvesAreBounded(t *testing.T) {
	const deep = `{"openapi": "3.0.0", "paths": {"/a": {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/N"}}}}}}},
		"components": {"schemas": {"N": {"type": "object", "properties": {"a": {"$ref": "#/components/schemas/N"}, "b": {"$ref": "#/components/schemas/N"}, "c": {"$ref": "#/components/schemas/N"},
		"d": {"$ref": "#/components/schemas/N"}, "e": {"$ref": "#/components/schemas/N"}, "f": {"$ref": "#/components/schemas/N"}}}}}}`
	found := discovered(t, calling("https://a.example", nil, nil), domain.Description{Text: []byte(deep)})
	if len(found.Offers) != 1 || len(found.Offers[0].InputSchema) > openapi.MaxSchema {
		t.Errorf("offered are %d endpoints", len(found.Offers))
	}
}

func TestADescriptionIsFetchedThroughTheGuardedDoor(t *testing.T) {
	c := calling("https://a.example", nil, nil)
	found := discovered(t, c, domain.Description{URL: "http://169.254.169.254/openapi.json"})
	if found.ErrorCode != domain.CallBlockedDestination {
		t.Errorf("it came to %s: %s", found.ErrorCode, found.Error)
	}
	found = discovered(t, c, domain.Description{URL: answers(t, 401, "")})
	if found.ErrorCode != domain.CallAuthFailed || !strings.Contains(found.Error, "requested without credentials. Send the document itself as openapi.") {
		t.Errorf("got %+v", found)
	}
	found = discovered(t, c, domain.Description{URL: answers(t, 404, "")})
	if found.ErrorCode != domain.CallUpstreamError {
		t.Errorf("it came to %s: %s", found.ErrorCode, found.Error)
	}
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

func TestRequestsThatPeopleHaveAreOfferedAndCanBeSent(t *testing.T) {
	var seen []string
	base := statementServer(t, "", &seen)
	curl := "curl -X POST '" + base + "/things/7?notify=true&key=sk_test_0123456789abcdef' -H 'Authorization: Bearer sk_test_0123456789abcdef' -d '{\"name\": \"a\"}'"
	postman := `{"item": [{"name": "Rename", "request": {"method": "POST", "url": {"raw": "{{base}}/things/:id", "query": [{"key": "notify", "value": "true"}]}, "header": [], "body": {"mode": "raw", "raw": "{\"name\": \"a\"}"}}}]}`
	har := `{"log": {"entries": [{"request": {"method": "POST", "url": "` + base + `/things/7?notify=true", "headers": [], "postData": {"mimeType": "application/json", "text": "{\"name\": \"a\"}"}}, "response": {"content": {}}}]}}`
	for form, text := range map[domain.Form]string{domain.CURL: curl, domain.Postman: postman, domain.HAR: har} {
		found := discovered(t, calling(base, nil, nil), domain.Description{Text: []byte(text), Form: form})
		require.Len(t, found.Offers, 1, form)
		require.Equal(t, 1, found.Total)
		o := found.Offers[0]
		id := "thing_id"
		if form == domain.Postman {
			id = "id"
		}
		c := calling(base, map[string]any{id: "8", "notify": false, "name": "b"}, func(e *domain.Endpoint) {
			e.Method, e.Path, e.InputSchema, e.Parameters, e.Body = o.Method, o.Path, o.InputSchema, o.Parameters, o.Body
		})
		if id == "thing_id" && form == domain.CURL {
			require.NotEmpty(t, o.Notes)
			require.NotContains(t, asJSON(t, o), "sk_test")
		}
		seen = nil
		succeeds(t, onLoopback(t), c)
		require.Equal(t, []string{`POST /things/8?notify=false Content-Type=application/json {"name":"b"}`}, seen, form)
	}
	for form, text := range map[domain.Form]string{domain.CURL: "wget a", domain.Postman: "{}", domain.HAR: "[]"} {
		_, err := onLoopback(t).Discover(t.Context(), calling(base, nil, nil).Integration, nil, domain.Description{Text: []byte(text), Form: form})
		require.Equal(t, domain.Invalid, domain.KindOf(err), form)
	}
}
