package transport_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A call with an empty _meta is answered by the SDK, and means the same.
func TestAPlainCallIsAnsweredAsTheSDKAnswersIt(t *testing.T) {
	t.Parallel()
	s := serve(t)
	u := listen(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/refused":
			w.WriteHeader(http.StatusBadRequest)
		case "/created":
			w.Header().Set("Location", "/things/77")
			w.WriteHeader(http.StatusCreated)
		case "/picture":
			w.Header().Set("Content-Type", "image/png")
			_, _ = w.Write([]byte("\x89PNG\r\n\x1a\n\x00\xff"))
		case "/empty":
		default:
			_, _ = w.Write([]byte(`{"path":"<` + r.URL.RequestURI() + `>","text":"é\u2028&"}`))
		}
	})
	listed := endpoint("list", members{"path": "/days/{day}", "input_schema": members{
		"type": "object", "properties": members{"day": members{"type": "string"}, "n": members{"type": "integer"}}, "required": []string{"day"},
	}})
	endpoints := []any{listed}
	for _, name := range []string{"refused", "created", "picture", "empty"} {
		endpoints = append(endpoints, endpoint(name, members{"path": "/" + name, "method": "POST"}))
	}
	s.create(rest("crm", u.url, members{"endpoints": endpoints}))
	s.create(rest("off", u.url, members{"enabled": false, "endpoints": []any{endpoint("list", members{})}}))

	ask := func(query, version, id, name, arguments, meta string) reply {
		header := map[string]string{"Accept": "application/json, text/event-stream", "Content-Type": "application/json", "X-Request-Id": "same"}
		if version != "" {
			header["Mcp-Protocol-Version"] = version
		}
		params := `{"name":"` + name + `"`
		if arguments != "" {
			params += `,"arguments":` + arguments
		}
		body := `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":` + params + meta + `}}`
		return s.send(request{method: "POST", path: "/v1/acme/mcp" + query, wrong: true, header: header, body: body})
	}
	same := func(query, version, id, name, arguments string) string {
		plain, sdk := ask(query, version, id, name, arguments, ""), ask(query, version, id, name, arguments, `,"_meta":{}`)
		plain.header.Del("Date")
		sdk.header.Del("Date")
		require.Equal(t, sdk.status, plain.status)
		require.Equal(t, sdk.header, plain.header)
		require.Equal(t, sdk.text, plain.text)
		return plain.text
	}
	const day = `{"day":"<1>&"}`
	for _, version := range []string{"", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"} {
		require.Contains(t, same("", version, "7", "crm__list", day), "/days/")
		for _, name := range []string{"crm__refused", "crm__created", "crm__picture", "crm__empty", "crm__none", "none__list", "off__list", "google-maps__geocode", "list", "<&>", "a b"} {
			same("", version, "7", name, "")
		}
	}
	for name, want := range map[string]string{
		"none__list": "there is no such integration", "crm__none": "has no endpoint of that name",
		"off__list": "is disabled or not configured", "google-search__search": "is disabled or not configured",
	} {
		require.Contains(t, same("", "", "7", name, ""), want, name)
	}
	for _, id := range []string{"0", "-1", "9007199254740992", `""`, `"a"`, `"<&>é\u2028"`} {
		require.True(t, strings.Contains(same("", "", id, "crm__list", day), "/days/"), id)
	}
	for _, arguments := range []string{"", "null", "{}", `{"day":7}`, `{"day":"1","n":"x"}`, `{"day":"1","n":1e400}`, `{"day":"1","n":12345678901234567890}`, `{"day":null}`, `{"day":"."}`, "[]", "7"} {
		same("", "", "7", "crm__list", arguments)
	}
	for _, query := range []string{"?integrations=crm", "?integrations=none", "?tools=search", "/crm", "/crm?names=own"} {
		same(query, "", "7", "crm__list", day)
		same(query, "", "7", "list", day)
	}
}
