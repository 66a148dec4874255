package transport_test

import (
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestToolsAreListedInEachFormat(t *testing.T) {
	t.Parallel()
	s := serve(t)
	u := listen(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{}`)) })
	s.create(rest("crm", u.url, members{"endpoints": []any{
		endpoint("find", members{"method": "GET", "path": "/things", "title": "Find things", "annotations": members{"open_world": false}, "input_schema": members{"properties": members{
			"filter[status]": members{"type": "string"}, "$top": members{"type": "integer"}, "tags": members{"type": "array"},
		}}, "description": strings.Repeat("d", 2048)}),
		endpoint("plain", members{"method": "DELETE", "path": "/things/{id}"}),
	}}))
	list := func(query string) reply { return s.get("/integration-tools?" + query).is(200) }

	openai := list("format=openai")
	require.Equal(t, 1024, utf8.RuneCountInString(openai.at("tools", 0, "function", "description").(string)))
	require.Equal(t, members{}, openai.at("tools", 0, "function", "parameters", "properties", "tags", "items"))
	require.Empty(t, openai.at("unavailable"))

	strict := list("strict=true")
	require.Len(t, strict.at("tools"), 1)
	require.Equal(t, true, strict.at("tools", 0, "function", "strict"))
	require.Equal(t, "crm__plain", strict.at("tools", 0, "function", "name"))
	require.Equal(t, "crm__find", strict.at("unavailable", 0, "name"))
	require.Contains(t, strict.at("unavailable", 0, "reason"), "tags")
	s.send(request{method: "GET", path: "/integration-tools?strict=true&format=mcp", wrong: true}).is(422, "not_allowed")

	anthropic := list("format=anthropic").at("tools", 0, "input_schema", "properties").(members)
	require.Contains(t, anthropic, "filter_status")
	require.Contains(t, anthropic, "top")

	mcp := list("format=mcp")
	require.Equal(t, members{"readOnlyHint": true, "openWorldHint": false}, mcp.at("tools", 0, "annotations"))
	require.Equal(t, "Find things", mcp.at("tools", 0, "title"))
	require.Equal(t, members{"destructiveHint": true}, mcp.at("tools", 1, "annotations"))

	gemini := list("format=gemini")
	require.Len(t, gemini.at("tools"), 1, "one tool has all the functions")
	require.Equal(t, "STRING", gemini.at("tools", 0, "functionDeclarations", 0, "parameters", "properties", "filter_status", "type"))
	require.Equal(t, "crm__plain", gemini.at("tools", 0, "functionDeclarations", 1, "name"))

	wanted := members{"integration_tools": []any{members{"integration": "crm", "endpoint": "find"}, members{"integration": "crm", "endpoint": "plain"}}}
	resolved := s.post("/integration-tools/resolve?strict=true", wanted).is(200)
	require.Len(t, resolved.at("tools"), 1)
	require.Equal(t, "not_expressible", resolved.at("unresolved", 0, "code"))
	require.Equal(t, "/integration_tools/0", resolved.at("unresolved", 0, "pointer"))
	require.Equal(t, "crm__find", s.post("/integration-tools/resolve?format=gemini", wanted).is(200).at("tools", 0, "tool", "name"))
}

func TestArgumentsUnderTheNamesOfAFormatAndNullsReachTheUpstreamAsTheSchemaHasThem(t *testing.T) {
	t.Parallel()
	s := serve(t)
	u := listen(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{}`)) })
	s.create(rest("crm", u.url, members{"endpoints": []any{
		endpoint("find", members{"method": "GET", "path": "/things", "input_schema": members{"additionalProperties": false, "properties": members{
			"filter[status]": members{"type": "string"}, "$top": members{"type": "integer"},
		}}}),
	}}))
	session, err := s.mcp(t, s.key)
	require.NoError(t, err)
	defer func() { _ = session.Close() }()
	for _, call := range []func(members){
		func(params members) {
			require.Nil(t, s.post("/integrations/crm/endpoints/find/test", members{"params": params}).is(200).at("error"))
		},
		func(params members) {
			require.Nil(t, s.post("/integrations/crm/endpoints/find/invoke", members{"params": params}).is(200).at("error"))
		},
		func(params members) {
			got := callTool(t, session, "crm__find", params)
			require.False(t, got.IsError, firstText(got))
		},
	} {
		for query, params := range map[string]members{
			"filter%5Bstatus%5D=open":          {"filter_status": "open"},
			"%24top=2&filter%5Bstatus%5D=open": {"filter[status]": "open", "top": 2},
			"":                                 {"filter[status]": nil, "top": nil},
		} {
			call(params)
			require.Equal(t, query, u.last(t).URL.RawQuery)
		}
	}
	require.False(t, callTool(t, session, "crm__find", nil).IsError, "no arguments at all")
}
