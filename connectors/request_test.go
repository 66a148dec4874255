package connectors

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// seen is what an upstream got.
type seen struct {
	Method, URI, Body string
	Header            http.Header
}

// recorder is an upstream that keeps the last request it got.
func recorder(t *testing.T) (base string, last func() seen) {
	t.Helper()
	requests := make(chan seen, 100)
	base = startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- seen{r.Method, r.RequestURI, string(body), r.Header}
		_, _ = w.Write([]byte(`{}`))
	})
	return base, func() seen { return <-requests }
}

func TestParametersGoWhereTheMethodPutsThem(t *testing.T) {
	params := map[string]any{
		"id": "a/b?c#d e%", "n": json.Number("9007199254740993"), "exact": json.Number("1.10"), "on": true, "tags": []any{"x y", json.Number("2")},
	}
	const inQuery = "exact=1.10&n=9007199254740993&on=true&tags=x+y&tags=2"
	const inJSON = `{"exact":1.10,"n":9007199254740993,"on":true,"tags":["x y",2]}`
	for _, row := range []struct{ method, format, uri, body, contentType string }{
		{"GET", "json", "/v1/items/a%2Fb%3Fc%23d%20e%25?cx=1&" + inQuery, "", ""},
		{"DELETE", "json", "/v1/items/a%2Fb%3Fc%23d%20e%25?cx=1&" + inQuery, "", ""},
		{"POST", "json", "/v1/items/a%2Fb%3Fc%23d%20e%25?cx=1", inJSON, "application/json"},
		{"PUT", "json", "/v1/items/a%2Fb%3Fc%23d%20e%25?cx=1", inJSON, "application/json"},
		{"PATCH", "form", "/v1/items/a%2Fb%3Fc%23d%20e%25?cx=1", inQuery, "application/x-www-form-urlencoded"},
	} {
		base, last := recorder(t)
		result := succeeds(t, onLoopback(t), calling(base+"/v1/", params, func(e *domain.Endpoint) {
			e.Method, e.BodyFormat, e.Path = row.method, row.format, "/items/{id}?cx=1"
		}))
		got := last()
		if got.Method != row.method || got.URI != row.uri || got.Body != row.body || got.Header.Get("Content-Type") != row.contentType {
			t.Errorf("%s as %s went out as %+v", row.method, row.format, got)
		}
		if result.Request.Method != row.method || result.Request.URL != base+row.uri || result.Request.Body != row.body {
			t.Errorf("%s as %s is shown as %+v", row.method, row.format, result.Request)
		}
	}
}

func TestTheHeadersOfARequestAreOursUnlessTheEndpointSetsThem(t *testing.T) {
	base, last := recorder(t)
	succeeds(t, onLoopback(t), calling(base, nil, func(e *domain.Endpoint) { e.Headers = map[string]string{"X-Goog-Fieldmask": "id"} }))
	got := last().Header
	if !strings.HasPrefix(got.Get("User-Agent"), "integrations/") || got.Get("Accept") != "application/json" || got.Get("X-Goog-FieldMask") != "id" {
		t.Errorf("got %v", got)
	}
	succeeds(t, onLoopback(t), calling(base, nil, func(e *domain.Endpoint) { e.Headers = map[string]string{"Accept": "text/csv"} }))
	if got := last().Header.Get("Accept"); got != "text/csv" {
		t.Errorf("got %s", got)
	}
}

func TestThePathStaysBelowTheBaseURL(t *testing.T) {
	for _, row := range []struct{ base, path, value, uri string }{
		{"", "", "", "/"},
		{"/v1", "", "", "/v1"},
		{"/v1/", "?x={p}", "a&b=c", "/v1/?x=a%26b%3Dc"},
		{"/v1", "items", "", "/v1/items"},
		{"/v1%2Fx/", "/{p}", "http://evil.example", "/v1%2Fx/http:%2F%2Fevil.example"},
		{"", "/{p}", "//evil.example", "/%2F%2Fevil.example"},
		{"", "/{p}", "%2e%2e", "/%252e%252e"},
		{"", "/{p}:search", "v1", "/v1:search"},
		{"", "/{p}", "{q}", "/%7Bq%7D"},
	} {
		base, last := recorder(t)
		params := map[string]any{}
		if row.value != "" {
			params["p"] = row.value
		}
		succeeds(t, onLoopback(t), calling(base+row.base, params, func(e *domain.Endpoint) { e.Path = row.path }))
		if got := last().URI; got != row.uri {
			t.Errorf("%s + %s with %q went to %s", row.base, row.path, row.value, got)
		}
	}
	for _, path := range []string{"/../admin", "/%2e%2e/admin", "/..\\admin"} {
		failsWith(t, onLoopback(t), calling("http://127.0.0.1:1/v1", nil, func(e *domain.Endpoint) { e.Path = path }), domain.CallMisconfigured)
	}
	failsWith(t, onLoopback(t), calling("", nil, nil), domain.CallMisconfigured)
}

func TestParametersThatCannotTravelAreRefusedAllAtOnce(t *testing.T) {
	object := map[string]any{"a": "b"}
	for _, row := range []struct {
		method, format, path string
		params               map[string]any
		want                 []string
	}{
		{"GET", "json", "/{a}/{b~}/{c}", map[string]any{"c": object}, []string{"/params/a required", "/params/c type"}},
		{
			"GET", "json", "/{a}/{b}/{c}/{d}",
			map[string]any{"a": ".", "b": "..", "c": "x/../y", "d": `..\x`},
			[]string{"/params/a path_invalid", "/params/b path_invalid", "/params/c path_invalid", "/params/d path_invalid"},
		},
		{"GET", "json", "/{a}", map[string]any{"a": ""}, []string{"/params/a required"}},
		{"GET", "json", "/x/{a}{b}/y", map[string]any{"a": ".", "b": "."}, []string{"/params/a path_invalid", "/params/b path_invalid"}},
		{"GET", "json", "/x/{a}./y", map[string]any{"a": ""}, []string{"/params/a required"}},
		{"GET", "json", "/x/.{a}/y", map[string]any{"a": "."}, []string{"/params/a path_invalid"}},
		{"GET", "json", "/", map[string]any{"o": object, "n": nil, "l": []any{"fine", object}}, []string{"/params/l/1 type", "/params/o type"}},
		{"POST", "form", "/", map[string]any{"o": object, "l": []any{[]any{}}}, []string{"/params/l/0 type", "/params/o type"}},
		{"GET", "json", "/?cx=fixed", map[string]any{"cx": "mine"}, []string{"/params/cx not_allowed"}},
	} {
		got := refuses(t, calling("http://127.0.0.1:1", row.params, func(e *domain.Endpoint) {
			e.Method, e.BodyFormat, e.Path = row.method, row.format, row.path
		}))
		if !slices.Equal(got, row.want) {
			t.Errorf("%s %s with %v: got %v, want %v", row.method, row.path, row.params, got, row.want)
		}
	}
	c := signedBy(calling("http://127.0.0.1:1", map[string]any{"key": "mine"}, nil), domain.Auth{Type: domain.APIKeyHeader, QueryName: "key"}, canary)
	if got := refuses(t, c); !slices.Equal(got, []string{"/params/key not_allowed"}) {
		t.Errorf("a parameter took the place of the key: %v", got)
	}
}

func TestParametersThatBreakTheSchemaAreReportedByPointer(t *testing.T) {
	schema := `{"type":"object","properties":{"id":{"type":"string"},"n":{"type":"integer","minimum":1},"list":{"type":"array","items":{"type":"object","required":["a/b"]}}},
		"required":["id","when"],"additionalProperties":false}`
	got := refuses(t, calling("http://127.0.0.1:1", map[string]any{
		"n": json.Number("0"), "list": []any{map[string]any{}}, "other": true,
	}, func(e *domain.Endpoint) { e.InputSchema, e.Path, e.Method = json.RawMessage(schema), "/{id}", "POST" }))
	slices.Sort(got)
	want := []string{"/params/id required", "/params/list/0/a~1b required", "/params/n minimum", "/params/other unknown_member", "/params/when required"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	base, last := recorder(t)
	succeeds(t, onLoopback(t), calling(base, map[string]any{"n": json.Number("9007199254740993")}, func(e *domain.Endpoint) {
		e.InputSchema = json.RawMessage(`{"properties":{"n":{"type":"integer","maximum":9007199254740993}}}`)
	}))
	if got := last().URI; got != "/?n=9007199254740993" {
		t.Errorf("got %s", got)
	}
}

func TestASchemaCannotRunAway(t *testing.T) {
	var doubling strings.Builder
	for n := range 40 {
		fmt.Fprintf(&doubling, `"d%d":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]},`, n, n+1, n+1)
	}
	for _, schema := range []string{
		`{"$defs":{` + doubling.String() + `"d40":{"type":"object"}},"$ref":"#/$defs/d0"}`,
		`{"$defs":{` + doubling.String() + `"d40":{"type":"string"}},"$ref":"#/$defs/d0"}`,
		`{"$defs":{` + doubling.String() + `"d40":{"type":"string"}},"anyOf":[{"$ref":"#/$defs/d0"},{"not":{"$ref":"#/$defs/d0"}},{"not":{"not":{"$ref":"#/$defs/d0"}}}]}`,
	} {
		start := time.Now()
		result, err := onLoopback(t).Call(t.Context(), calling("http://127.0.0.1:1", map[string]any{"a": "b"}, func(e *domain.Endpoint) { e.InputSchema = json.RawMessage(schema) }))
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("%.60s… took %s", schema[len(schema)-60:], took)
		}
		if err == nil && result.ErrorCode == "" {
			t.Errorf("got %+v", result)
		}
	}
}

func TestASecretThatNoHeaderCanCarryIsReported(t *testing.T) {
	c := signedBy(calling("http://127.0.0.1:1", nil, nil), domain.Auth{Type: domain.BearerToken}, "from-a-file\n")
	if got := failsWith(t, onLoopback(t), c, domain.CallMisconfigured); !strings.Contains(got.Error, "Authorization") {
		t.Errorf("got %s", got.Error)
	}
}

func TestADryRunShowsTheRequestAndSendsNothing(t *testing.T) {
	base := startUpstream(t, func(http.ResponseWriter, *http.Request) { t.Error("the upstream was called") })
	c := signedBy(calling(base, map[string]any{"q": canary}, func(e *domain.Endpoint) { e.Method = "POST" }), domain.Auth{Type: domain.APIKeyHeader, QueryName: "key"}, canary)
	c.DryRun = true
	result := succeeds(t, onLoopback(t), c)
	if result.Request.URL != base+"/?key=[secret]" || result.Request.Body != `{"q":"sk-ca+na/ry\"<ü>&=%41 9007"}` || len(result.Attempts) != 0 || result.StatusCode != 0 {
		t.Errorf("got %+v", result)
	}
	c.Keyring = func(context.Context, domain.SecretRef) (domain.Secret, error) {
		return domain.Secret{}, domain.Errorf(domain.Invalid, "secret_missing", "the setting GOOGLE_KEY is missing")
	}
	if result := failsWith(t, onLoopback(t), c, domain.CallMisconfigured); result.Request.Method != "POST" {
		t.Errorf("the request is not shown: %+v", result)
	}
}
