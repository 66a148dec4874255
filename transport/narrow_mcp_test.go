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
