package transport_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
)

// listedTools returns the names of the tools of a session, and how many characters their
// definitions have.
func listedTools(t *testing.T, session *mcp.ClientSession) (names []string, size int) {
	t.Helper()
	for tool, err := range session.Tools(t.Context(), nil) {
		require.NoError(t, err)
		names = append(names, tool.Name)
		written, err := json.Marshal(tool)
		require.NoError(t, err)
		size += len(written)
	}
	return names, size
}

func (s *service) connected(t *testing.T, path string) *mcp.ClientSession {
	t.Helper()
	session, err := s.mcpAt(t, path, s.key)
	require.NoError(t, err)
	t.Cleanup(func() { _ = session.Close() })
	return session
}

func TestAModelFindsAndCallsToolsByWords(t *testing.T) {
	t.Parallel()
	s := serve(t)
	u := listen(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(`{"path":"` + r.URL.Path + `"}`)) })
	const integrations, each = 10, 50
	for n := range integrations {
		var endpoints []any
		for m := range each {
			endpoints = append(endpoints, endpoint(fmt.Sprintf("list_shelves_%d", m), members{
				"description": "Lists the shelves of a hall of the warehouse, with what is on each of them and when it was put there.",
				"path":        "/halls/{hall}/shelves", "input_schema": members{"type": "object", "properties": members{
					"hall": members{"type": "string", "description": "The number of the hall."}, "page": members{"type": "integer", "minimum": 1},
				}},
			}))
		}
		if n == 7 {
			endpoints[0] = endpoint("book_slot", members{"description": "Books an appointment with a doctor.", "path": "/slots", "input_schema": members{
				"type": "object", "properties": members{"day": members{"type": "string", "minLength": 3}}, "required": []string{"day"},
			}})
		}
		s.create(rest(fmt.Sprintf("warehouse%d", n), u.url, members{"endpoints": endpoints}))
	}
	_, whole := listedTools(t, s.connected(t, "/v1/acme/mcp"))
	session := s.connected(t, "/v1/acme/mcp?tools=search")
	names, size := listedTools(t, session)
	require.ElementsMatch(t, []string{"find_tools", "call_tool"}, names)

	type answer struct {
		Tools []struct {
			Name        string  `json:"name"`
			Note        string  `json:"note"`
			InputSchema members `json:"input_schema"`
		} `json:"tools"`
		Systems []members `json:"systems"`
	}
	find := func(arguments members) (got answer, size int) {
		result := callTool(t, session, "find_tools", arguments)
		require.False(t, result.IsError, firstText(result))
		require.NoError(t, json.Unmarshal([]byte(firstText(result)), &got))
		return got, len(firstText(result))
	}
	got, foundSize := find(members{"query": "book an appointment"})
	require.Equal(t, "warehouse7__book_slot", got.Tools[0].Name)
	require.Contains(t, got.Tools[0].InputSchema["properties"], "day")
	_, manySize := find(members{"query": "shelves hall warehouse", "limit": 20})
	t.Logf("whole: %d characters; search: %d for the tools, %d for an answer, at most %d", whole, size, foundSize, manySize)
	const charactersOfAToken = 4
	require.Less(t, (size+max(foundSize, manySize))/charactersOfAToken, 1500+300, "tokens before the first call")
	require.Less(t, (size+foundSize)/charactersOfAToken, 1500)

	got, _ = find(members{"query": "weather"})
	require.Empty(t, got.Tools)
	require.Len(t, got.Systems, integrations)
	require.InDelta(t, each, got.Systems[0]["tools"], 0)

	called := callTool(t, session, "call_tool", members{"name": "warehouse7__book_slot", "arguments": members{"day": "monday"}})
	require.JSONEq(t, `{"path":"/slots"}`, firstText(called))
	for at, arguments := range map[string]members{
		"/arguments/arguments/day": {"name": "warehouse7__book_slot", "arguments": members{"day": "x"}},
		"/arguments/name":          {"name": "warehouse7__nothing"},
		"/arguments: must":         {"tool": "x"},
	} {
		refused := callTool(t, session, "call_tool", arguments)
		require.True(t, refused.IsError)
		require.Contains(t, firstText(refused), at)
	}
}

func TestAURLNarrowsTheTools(t *testing.T) {
	t.Parallel()
	s := serve(t)
	u := listen(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{}`)) })
	for _, name := range []string{"a1", "b1", "c1"} {
		s.create(rest(name, u.url, members{"endpoints": []any{endpoint("list", members{"path": "/x"})}}))
	}
	for path, want := range map[string][]string{
		"/v1/acme/mcp?integrations=a1,%20c1": {"a1__list", "c1__list"},
		"/v1/acme/mcp/b1":                    {"b1__list"},
		"/v1/acme/mcp?tools=all":             {"a1__list", "b1__list", "c1__list"},
	} {
		names, _ := listedTools(t, s.connected(t, path))
		require.Equal(t, want, names, path)
	}
	session := s.connected(t, "/v1/acme/mcp/b1")
	require.False(t, callTool(t, session, "b1__list", nil).IsError)
	_, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "a1__list"})
	require.ErrorContains(t, err, "there is no tool with that name")
	search := s.connected(t, "/v1/acme/mcp/b1?tools=search")
	require.True(t, callTool(t, search, "call_tool", members{"name": "a1__list"}).IsError)

	list := request{method: "POST", wrong: true, body: members{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, header: map[string]string{"Accept": "application/json, text/event-stream"}}
	for path, code := range map[string]string{"/mcp?tools=some": "enum", "/mcp?integrations=": "range", "/mcp?integration=a1": "unknown_parameter"} {
		list.path = "/v1/acme" + path
		s.send(list).is(422, code)
	}
	for _, path := range []string{"/mcp/nothing", "/mcp?integrations=a1,nothing"} {
		list.path = "/v1/acme" + path
		s.send(list).is(404, "integration_not_found")
	}
}
