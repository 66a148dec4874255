package connectors

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"slices"
	"strings"
	"testing"

	"github.com/seed677028b5/integrations/domain"
)

// travels calls an endpoint that is described as JSON with params as JSON, and returns
// what its upstream got.
func travels(t *testing.T, endpoint, params string) seen {
	t.Helper()
	base, last := recorder(t)
	e := domain.Endpoint{Name: "test", Method: "GET", Path: "/", BodyFormat: "json", TimeoutMS: 10_000}
	if err := json.Unmarshal([]byte(endpoint), &e); err != nil {
		t.Fatal(err)
	}
	succeeds(t, onLoopback(t), calling(base, decoded(t, params), func(blank *domain.Endpoint) { *blank = e }))
	return last()
}

func decoded(t *testing.T, text string) map[string]any {
	t.Helper()
	var params map[string]any
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	if err := decoder.Decode(&params); err != nil {
		t.Fatal(err)
	}
	return params
}

// The expected values are those of the table "Style Examples" of OpenAPI 3.1, with
// members in the order of their names.
func TestAParameterTravelsInTheStyleOfOpenAPI(t *testing.T) {
	const array, object = `{"color": ["blue", "black", "brown"]}`, `{"color": {"R": 100, "G": 200, "B": 150}}`
	for _, row := range []struct{ parameter, params, uri string }{
		{`{"in": "query"}`, array, "/?color=blue&color=black&color=brown"},
		{`{"in": "query", "explode": false}`, array, "/?color=blue,black,brown"},
		{`{"in": "query"}`, object, "/?B=150&G=200&R=100"},
		{`{"in": "query", "explode": false}`, object, "/?color=B,150,G,200,R,100"},
		{`{"in": "query", "style": "spaceDelimited"}`, array, "/?color=blue%20black%20brown"},
		{`{"in": "query", "style": "spaceDelimited"}`, object, "/?color=B%20150%20G%20200%20R%20100"},
		{`{"in": "query", "style": "pipeDelimited"}`, array, "/?color=blue%7Cblack%7Cbrown"},
		{`{"in": "query", "style": "pipeDelimited", "explode": true}`, array, "/?color=blue&color=black&color=brown"},
		{`{"in": "query", "style": "deepObject"}`, object, "/?color%5BB%5D=150&color%5BG%5D=200&color%5BR%5D=100"},
		{`{"in": "query", "style": "deepObject"}`, `{"color": {"a": {"b": 1}, "l": ["x", "y"], "o": [{"k": true}]}}`, "/?color%5Ba%5D%5Bb%5D=1&color%5Bl%5D%5B%5D=x&color%5Bl%5D%5B%5D=y&color%5Bo%5D%5B0%5D%5Bk%5D=true"},
		{`{"in": "query", "style": "json"}`, object, "/?color=%7B%22B%22%3A150%2C%22G%22%3A200%2C%22R%22%3A100%7D"},
		{`{"in": "query", "explode": false}`, `{"color": ["a,b", "c d"]}`, "/?color=a%2Cb,c+d"},
		{`{"in": "query", "allow_reserved": true}`, `{"color": "a/b?c=d&e#f+g%h i"}`, "/?color=a/b?c=d%26e%23f%2Bg%25h%20i"},
		{`{"in": "query", "name": "$top"}`, `{"color": 5}`, "/?%24top=5"},
		{`{"in": "query"}`, `{"color": null}`, "/"},
		{`{"in": "query"}`, `{"color": [null, "a"]}`, "/?color=a"},
	} {
		if got := travels(t, `{"parameters": {"color": `+row.parameter+`}}`, row.params); got.URI != row.uri {
			t.Errorf("%s of %s went to %s, want %s", row.parameter, row.params, got.URI, row.uri)
		}
	}
	for _, row := range []struct{ parameter, params, uri string }{
		{`{"in": "path"}`, array, "/x/blue,black,brown/y"},
		{`{"in": "path"}`, object, "/x/B,150,G,200,R,100/y"},
		{`{"in": "path", "explode": true}`, object, "/x/B=150,G=200,R=100/y"},
		{`{"in": "path", "style": "label"}`, `{"color": "blue"}`, "/x/.blue/y"},
		{`{"in": "path", "style": "label", "explode": true}`, array, "/x/.blue.black.brown/y"},
		{`{"in": "path", "style": "matrix"}`, `{"color": "blue"}`, "/x/;color=blue/y"},
		{`{"in": "path", "style": "matrix", "explode": true}`, array, "/x/;color=blue;color=black;color=brown/y"},
		{`{"in": "path", "style": "matrix"}`, object, "/x/;color=B,150,G,200,R,100/y"},
	} {
		if got := travels(t, `{"path": "/x/{color}/y", "parameters": {"color": `+row.parameter+`}}`, row.params); got.URI != row.uri {
			t.Errorf("%s of %s went to %s, want %s", row.parameter, row.params, got.URI, row.uri)
		}
	}
}

func TestAHeaderOrACookieCarriesAParameter(t *testing.T) {
	got := travels(t, `{"headers": {"X-Fixed": "a{b}c", "X-Optional": "{missing}"}, "parameters": {
		"list": {"in": "header", "name": "X-List"}, "object": {"in": "header", "name": "X-Object", "explode": true},
		"json": {"in": "header", "name": "X-Json", "style": "json"}, "session": {"in": "cookie"}, "gone": {"in": "header", "name": "X-Gone"}}}`,
		`{"list": ["a", 2], "object": {"k": "v", "l": true}, "json": {"k": "v"}, "session": "a b;c", "gone": null, "b": 7}`)
	for name, want := range map[string]string{
		"X-List": "a,2", "X-Object": "k=v,l=true", "X-Json": `{"k":"v"}`, "Cookie": "session=a%20b%3Bc", "X-Fixed": "a7c",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.Header.Get(name), want)
		}
	}
	for _, name := range []string{"X-Gone", "X-Optional"} {
		if _, sent := got.Header[name]; sent {
			t.Errorf("%s was sent as %q", name, got.Header.Get(name))
		}
	}
	if got.URI != "/" {
		t.Errorf("it went to %s", got.URI)
	}
}

func TestOptionalMembersOfTheQueryAreThoseGiven(t *testing.T) {
	const endpoint = `{"method": "POST", "path": "/things?fixed=1{&name,tags*,ids}"}`
	got := travels(t, endpoint, `{"tags": ["a", "b"], "ids": [1, 2], "body": true}`)
	if got.URI != "/things?fixed=1&ids=1,2&tags=a&tags=b" || got.Body != `{"body":true}` {
		t.Errorf("got %+v", got)
	}
}

func TestABodyTravelsInItsFormat(t *testing.T) {
	for _, row := range []struct{ endpoint, params, uri, contentType, body string }{
		{`{"method": "POST", "body": {"format": "json", "media_type": "application/vnd.api+json"}}`, `{"a": 1}`, "/", "application/vnd.api+json", `{"a":1}`},
		{`{"method": "POST", "body": {"format": "json", "property": "items"}}`, `{"items": [1, 2], "q": "x"}`, "/?q=x", "application/json", `[1,2]`},
		{`{"method": "POST", "body": {"format": "json", "property": "items"}}`, `{}`, "/", "", ``},
		{
			`{"method": "PATCH", "body": {"format": "json", "media_type": "application/json-patch+json", "property": "patch"}}`,
			`{"patch": [{"op": "remove", "path": "/a"}]}`, "/", "application/json-patch+json", `[{"op":"remove","path":"/a"}]`,
		},
		{`{"method": "DELETE", "body": {"format": "json"}, "parameters": {"force": {"in": "query"}}}`, `{"ids": [1], "force": true}`, "/?force=true", "application/json", `{"ids":[1]}`},
		{`{"method": "POST", "body": {"format": "none"}}`, `{"a": 1}`, "/?a=1", "", ``},
		{`{"method": "POST", "body": {"format": "text", "property": "text"}}`, `{"text": "Grüße"}`, "/", "text/plain; charset=utf-8", "Grüße"},
		{`{"method": "PUT", "body": {"format": "base64", "media_type": "image/png", "property": "file"}}`, `{"file": "iVBO_-8"}`, "/", "image/png", "\x89PN\xff\xef"},
		{
			`{"method": "POST", "body": {"format": "form"}, "parameters": {
			"metadata": {"in": "body", "style": "deepObject"}, "expand": {"in": "body", "name": "expand[]"}, "filter": {"in": "body", "style": "json"}}}`,
			`{"metadata": {"k": "v"}, "expand": ["a"], "filter": {"x": 1}, "plain": "p q", "none": null}`, "/", "application/x-www-form-urlencoded",
			"expand%5B%5D=a&filter=%7B%22x%22%3A1%7D&metadata%5Bk%5D=v&plain=p+q",
		},
		{`{"method": "POST", "parameters": {"request_id": {"in": "query", "name": "requestId"}}}`, `{"request_id": "r", "a": null}`, "/?requestId=r", "application/json", `{"a":null}`},
		{`{"method": "PUT", "path": "/things/{id}", "parameters": {"id": {"in": "body"}}}`, `{"id": 7, "name": "a"}`, "/things/7", "application/json", `{"id":7,"name":"a"}`},
		{`{"method": "PUT", "path": "/things/{id}", "parameters": {"thing": {"in": "path", "name": "id"}, "own": {"in": "body", "name": "id"}}}`, `{"thing": 7, "own": 8}`, "/things/7", "application/json", `{"id":8}`},
	} {
		got := travels(t, row.endpoint, row.params)
		if got.URI != row.uri || got.Body != row.body || got.Header.Get("Content-Type") != row.contentType {
			t.Errorf("%s with %s went out as %s %q %q", row.endpoint, row.params, got.URI, got.Header.Get("Content-Type"), got.Body)
		}
	}
}

func TestAMultipartBodyHasFilesAndFields(t *testing.T) {
	got := travels(t, `{"method": "POST", "headers": {"Content-Type": "multipart/form-data"}, "body": {"format": "multipart"}, "input_schema": {"properties": {
		"file": {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"},
		"pages": {"type": "array", "items": {"type": "string", "contentEncoding": "base64"}}}},
		"parameters": {"name": {"in": "body", "name": "na\"me"}}}`,
		`{"file": "iVBO", "name": "a", "tags": ["x", "y"], "meta": {"k": 1}, "pages": ["AAE="], "none": null}`)
	kind, parameters, err := mime.ParseMediaType(got.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		t.Fatalf("got %s, %v", got.Header.Get("Content-Type"), err)
	}
	var parts []string
	for r := multipart.NewReader(bytes.NewReader([]byte(got.Body)), parameters["boundary"]); ; {
		part, err := r.NextPart()
		if err != nil {
			break
		}
		data, _ := io.ReadAll(part)
		parts = append(parts, part.FormName()+"|"+part.FileName()+"|"+part.Header.Get("Content-Type")+"|"+string(data))
	}
	want := []string{
		"file|file|image/png|\x89PN", `meta||application/json|{"k":1}`, "na%22me|||a", "pages|pages|application/octet-stream|\x00\x01", "tags|||x", "tags|||y",
	}
	if !slices.Equal(parts, want) {
		t.Errorf("got %q", parts)
	}
}

func TestAFHIRUpdateHasItsIDInTheResource(t *testing.T) {
	base, last := recorder(t)
	for _, params := range []string{`{"id": "7", "active": true}`, `{"id": "7", "resource": {"active": true}}`} {
		c := calling(base, decoded(t, params), func(e *domain.Endpoint) {
			e.Method, e.Path = "PUT", "/Patient/{id}"
			if decoded(t, params)["resource"] != nil {
				e.Body = &domain.Body{Format: domain.JSONBody, Property: "resource"}
			}
		})
		c.Integration.Protocol = domain.FHIR
		succeeds(t, onLoopback(t), c)
		if got := last(); got.URI != "/Patient/7" || got.Body != `{"active":true,"id":"7"}` {
			t.Errorf("got %+v", got)
		}
	}
}

func TestNullMeansAbsentWhereTheSchemaLetsIt(t *testing.T) {
	const schema = `"input_schema": {"type": "object", "required": ["must"], "properties": {
		"must": {"type": ["string", "null"]}, "may": {"type": "string"}, "nullable": {"type": ["string", "null"]}, "choice": {"enum": ["a"]},
		"ref": {"$ref": "#/$defs/name"}, "either": {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "neither": {"oneOf": [{"type": "integer"}, {"const": "a"}]},
		"inner": {"type": "object", "properties": {"may": {"type": "integer"}, "n": {"type": ["integer", "null"]}}},
		"list": {"type": "array", "items": {"type": "object", "properties": {"may": {"type": "boolean"}}}}},
		"$defs": {"name": {"type": "string"}}}`
	const params = `{"must": null, "may": null, "nullable": null, "choice": null, "ref": null, "either": null, "neither": null,
		"inner": {"may": null, "n": null}, "list": [{"may": null}]}`
	got := travels(t, `{"method": "POST", `+schema+`}`, params)
	if want := `{"either":null,"inner":{"n":null},"list":[{}],"must":null,"nullable":null}`; got.Body != want {
		t.Errorf("got %s, want %s", got.Body, want)
	}
	flat := `{"must": "x", "may": null, "nullable": null, "choice": null, "ref": null}`
	for method, body := range map[string]string{"GET": "/?must=x", "DELETE": "/?must=x"} {
		if got := travels(t, `{"method": "`+method+`", `+schema+`}`, flat); got.URI != body {
			t.Errorf("%s went to %s", method, got.URI)
		}
	}
	if got := travels(t, `{"method": "POST", "body_format": "form", `+schema+`}`, flat); got.Body != "must=x" {
		t.Errorf("a form has %s", got.Body)
	}
}

func TestAParameterThatDoesNotFitItsPlaceIsRefused(t *testing.T) {
	for _, row := range []struct{ endpoint, params, want string }{
		{`{"parameters": {"h": {"in": "header", "name": "X-H"}}}`, `{"h": "a\r\nb"}`, "/params/h header_invalid"},
		{`{"headers": {"X-H": "{h}"}}`, `{"h": "a\nb"}`, "/params/h header_invalid"},
		{`{"headers": {"X-H": "{h}"}}`, `{"h": []}`, "/params/h type"},
		{`{"parameters": {"q": {"in": "query"}}}`, `{"q": {"a": {"b": 1}}}`, "/params/q/a type"},
		{`{"path": "/?key=1", "parameters": {"q": {"in": "query", "name": "key"}}}`, `{"q": 1}`, "/params/q not_allowed"},
		{`{"path": "/?key=1", "parameters": {"q": {"in": "query"}}}`, `{"q": {"key": 1}}`, "/params/q not_allowed"},
		{`{"path": "/{p}", "parameters": {"q": {"in": "path", "name": "p"}}}`, `{"q": ["..", "a"]}`, "/params/q path_invalid"},
		{`{"path": "/{p}", "parameters": {"q": {"in": "path", "name": "p"}}}`, `{}`, "/params/q required"},
		{`{"path": "/` + strings.Repeat("{p}", 100) + `"}`, `{"p": "` + strings.Repeat("x", 1000) + `"}`, "/params/p too_long"},
		{`{"headers": {"X-H": "` + strings.Repeat("{p}", 100) + `"}}`, `{"p": "` + strings.Repeat("x", 1000) + `"}`, "/params/p too_long"},
		{`{"path": "/{p}", "parameters": {"p": {"in": "path", "style": "label"}}}`, `{"p": "."}`, "/params/p path_invalid"},
		{`{"method": "POST", "body": {"format": "text", "property": "t"}}`, `{"t": 1}`, "/params/t type"},
		{`{"method": "POST", "body": {"format": "base64", "property": "t"}}`, `{"t": "!"}`, "/params/t type"},
		{`{"method": "POST", "body": {"format": "multipart"}, "input_schema": {"properties": {"f": {"type": "array", "items": {"contentEncoding": "base64"}}}}}`, `{"f": ["AA==", "!"]}`, "/params/f/1 type"},
	} {
		e := domain.Endpoint{Name: "test", Method: "GET", Path: "/", BodyFormat: "json"}
		if err := json.Unmarshal([]byte(row.endpoint), &e); err != nil {
			t.Fatal(err)
		}
		got := refuses(t, calling("http://127.0.0.1:1", decoded(t, row.params), func(blank *domain.Endpoint) { *blank = e }))
		if !slices.Equal(got, []string{row.want}) {
			t.Errorf("%s with %s: got %v, want %s", row.endpoint, row.params, got, row.want)
		}
	}
}
