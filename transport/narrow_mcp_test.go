package transport_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
)

func TestAModelFindsAndCallsTheToolsOfItsKeyOnly(t *testing.T) {
	t.Parallel()
	s := serve(t)
	u := s.clinics(t)
	key := s.narrowed(domain.Scope{Tools: []string{"clinic__get_slot"}}, access.Invoke)
	at := func(path string) (*mcp.ClientSession, error) {
		session, err := s.mcpAt(t, "/v1/acme/mcp"+path, key)
		if err == nil {
			t.Cleanup(func() { _ = session.Close() })
		}
		return session, err
	}
	session, err := at("?tools=search")
	require.NoError(t, err)
	for _, words := range []string{"slot", "delete", "note", "lab", "nothing like that"} {
		found := firstText(callTool(t, session, "find_tools", members{"query": words}))
		require.NotContains(t, found, "delete", words)
		require.NotContains(t, found, "note", words)
		require.NotContains(t, found, "lab__", words)
	}
	answer := func(name string) string {
		result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "call_tool", Arguments: members{"name": name, "arguments": members{}}})
		if err != nil {
			return err.Error()
		}
		return firstText(result)
	}
	require.Equal(t, answer("clinic__nothing"), answer("clinic__delete_slot"))
	require.Equal(t, answer("nothing__get_slot"), answer("lab__get_slot"))
	require.Empty(t, u.requests())
	answer("clinic__get_slot")
	require.Len(t, u.requests(), 1)

	for _, path := range []string{"?integrations=%s", "/%s"} {
		fits, err := at(fmt.Sprintf(path, "clinic"))
		require.NoError(t, err)
		names, _ := listedTools(t, fits)
		require.Equal(t, []string{"clinic__get_slot"}, names)
		_, hidden := at(fmt.Sprintf(path, "lab"))
		_, unknown := at(fmt.Sprintf(path, "nothing"))
		require.Error(t, hidden)
		require.Equal(t, strings.ReplaceAll(unknown.Error(), "nothing", "lab"), hidden.Error())
	}
}

// A refusal inside JSON-RPC has the HTTP status 200, so that nothing else shows it.
func TestRefusalsInsideJSONRPCAreListedAsDenied(t *testing.T) {
	t.Parallel()
	s := serve(t, proven)
	s.clinics(t)
	s.create(rest("desk", "https://a.example", members{"endpoints": []any{endpoint("book", members{"approval": "always"})}}))
	agent := s.issue("acme", access.Invoke)
	narrow := s.narrowed(domain.Scope{Tools: []string{"clinic__get_slot", "desk__*"}}, access.Invoke)
	asked := func(key, path, name string, arguments members) *mcp.CallToolResult {
		session, err := s.mcpAt(t, "/v1/acme/mcp"+path, key)
		require.NoError(t, err)
		defer func() { require.NoError(t, session.Close()) }()
		result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: name, Arguments: arguments})
		if err != nil {
			return nil
		}
		return result
	}
	require.Nil(t, asked(narrow, "", "clinic__delete_slot", nil))
	require.Nil(t, asked(narrow, "/clinic", "clinic__delete_slot", nil))
	asked(narrow, "?tools=search", "call_tool", members{"name": "lab__get_slot"})
	require.Nil(t, asked(agent, "", "clinic__nothing", nil), "no such tool, of a key that sees all: no denial")
	id := asked(agent, "", "desk__book", nil).Meta["integrations/approval"].(map[string]any)["id"].(string)
	s.post("/approvals/"+id+"/deny", members{"reason": "no"}).is(200)
	require.Contains(t, firstText(asked(agent, "", "desk__book", nil)), "denied")
	session, err := s.mcp(t, narrow)
	require.NoError(t, err)
	_, err = session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: domain.ResourceURI("lab", "file:///a")})
	require.Error(t, err)
	_, err = session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "lab__greet"})
	require.Error(t, err)
	require.NoError(t, session.Close())

	want := map[string]float64{
		"POST /v1/:workspace/mcp tools/call tool_not_found": 2, "POST /v1/:workspace/mcp/:id tools/call tool_not_found": 1,
		"POST /v1/:workspace/mcp tools/call approval_required": 1, "POST /v1/:workspace/mcp tools/call approval_denied": 1,
		"POST /v1/:workspace/mcp resources/read resource_not_found": 1, "POST /v1/:workspace/mcp prompts/get prompt_not_found": 1,
	}
	var found map[string]float64
	soon(t, func() bool {
		found = map[string]float64{}
		for _, one := range s.get("/access-events?type=access.denied&limit=200").is(200).at("items").([]any) {
			one := one.(members)
			found[fmt.Sprint(one["route"], " ", one["code"])] += one["count"].(float64)
			require.InDelta(t, 403, one["status"], 0)
			require.Equal(t, "127.0.0.1", one["address"])
			require.NotNil(t, one["key_id"])
			require.NotNil(t, one["request_id"])
			require.Equal(t, "acme", one["workspace_id"])
		}
		return len(found) >= len(want) // the second of two that are alike may be in a record that is written later
	})
	for which, count := range found {
		require.Contains(t, want, which)
		require.LessOrEqual(t, count, want[which], which)
	}
	require.Len(t, found, len(want))
}
