package transport_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAMessageThatIsNoneOfMCPIsRefusedInItsWords(t *testing.T) {
	t.Parallel()
	s := serve(t)
	ask := func(body string) reply {
		return s.send(request{method: "POST", path: "/v1/acme/mcp", body: body, wrong: true, header: map[string]string{
			"Accept": "application/json, text/event-stream", "Content-Type": "application/json", "Mcp-Protocol-Version": "2025-06-18",
		}})
	}
	for id, same := range map[string]any{"7": 7.0, "7.0": 7.0, "1e3": 1000.0, "-1": -1.0, "9007199254740992": 9007199254740992.0, `"1.5"`: "1.5", `""`: ""} {
		got := ask(`{"jsonrpc":"2.0","id":` + id + `,"method":"tools/list"}`).is(200)
		require.Equal(t, same, got.at("id"), id)
	}
	for _, id := range []string{"1.5", "99999999999999999999", "[1]", "{}", "true"} {
		require.Contains(t, ask(`{"jsonrpc":"2.0","id":`+id+`,"method":"tools/list"}`).is(400, "mcp_request_invalid").text, "/id: must be a string, or an integer", id)
		ask(`[{"jsonrpc":"2.0","id":`+id+`,"method":"tools/list"}]`).is(400, "mcp_request_invalid")
	}
	for _, body := range []string{"nonsense", "7", `{"id":`, "null"} {
		require.Contains(t, ask(body).is(400, "mcp_request_invalid").text, "of JSON-RPC 2.0", body)
	}
	for call, want := range map[string]string{
		`"prompts/get","params":{"name":"x","arguments":{"a":1}}`:                            "/params/arguments/a: must be a string",
		`"prompts/get","params":{"name":"x","arguments":[]}`:                                 "/params/arguments: must be an object of strings",
		`"prompts/get","params":{"name":1}`:                                                  "/params/name: must be a string",
		`"prompts/get","params":[]`:                                                          "/params: must be an object",
		`"tools/call","params":{"name":"x","_meta":7}`:                                       "/params/_meta: must be an object",
		`"resources/read","params":{"uri":5}`:                                                "/params/uri: must be a string",
		`"tools/call","params":{"name":{}}`:                                                  "/params/name: must be a string",
		`"tools/list","params":{"cursor":5}`:                                                 "/params/cursor: must be a string",
		`"completion/complete","params":{"ref":5}`:                                           "/params/ref: must be an object",
		`"completion/complete","params":{"ref":{"type":"ref/prompt"},"argument":{"name":5}}`: "/params/argument/name: must be a string",
	} {
		got := ask(`{"jsonrpc":"2.0","id":"a","method":` + call + `}`).is(200)
		require.Equal(t, []any{"a", -32602.0, want}, []any{got.at("id"), got.at("error", "code"), got.at("error", "message")}, call)
		for _, theirs := range []string{"mcp.", "Go ", "unmarshal"} {
			require.False(t, strings.Contains(got.text, theirs), got.text)
		}
	}
}

func TestAnUnknownMethodIsNamedInOurWords(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for version, status := range map[string]int{"2025-06-18": 200, "2026-07-28": 404} {
		for method, named := range map[string]string{
			"nothing/like/it": `"nothing/like/it"`, strings.Repeat("é", 5000): `"` + strings.Repeat("é", 32) + `…"`, "a\\nb": `"a\nb"`,
		} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/v1/acme/mcp", strings.NewReader(`{"jsonrpc":"2.0","id":7,"method":"`+method+`"}`))
			require.NoError(t, err)
			for name, value := range map[string]string{
				"Authorization": "Bearer " + s.key, "Accept": "application/json, text/event-stream", "Content-Type": "application/json", "Mcp-Protocol-Version": version,
			} {
				req.Header.Set(name, value)
			}
			res, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			text, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, status, res.StatusCode)
			require.JSONEq(t, `{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":`+strconv.Quote("Method not found: this server has no method "+named)+`}}`, string(text))
		}
	}
}
