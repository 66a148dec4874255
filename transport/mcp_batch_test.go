package transport_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// askMCP sends a body to the MCP server of a workspace. An answer to a batch is a list, which send can't read.
func (s *service) askMCP(version, body string) reply {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/v1/acme/mcp", strings.NewReader(body))
	require.NoError(s.t, err)
	for name, value := range map[string]string{
		"Authorization": "Bearer " + s.key, "Accept": "application/json, text/event-stream", "Content-Type": "application/json", "Mcp-Protocol-Version": version,
	} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	text, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	require.NoError(s.t, res.Body.Close())
	got := reply{t: s.t, status: res.StatusCode, header: res.Header, text: string(text)}
	_ = json.Unmarshal(text, &got.json)
	return got
}

const ping = `{"jsonrpc":"2.0","id":1,"method":"ping"}`

func TestEachMessageOfABatchIsAnsweredForItself(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const unknown, subscribe = `Method not found: this server has no method \"x/y\"`, `Method not found: this server has no method \"resources/subscribe\"`
	for message, want := range map[string]string{
		`"method":"x/y"`:                                              `{"code":-32601,"message":"` + unknown + `"}`,
		`"method":"x/y","params":5`:                                   `{"code":-32601,"message":"` + unknown + `"}`,
		`"method":"notifications/x"`:                                  `{"code":-32601,"message":"Method not found: this server has no method \"notifications/x\""}`,
		`"method":"resources/subscribe","params":{"uri":"a:b"}`:       `{"code":-32601,"message":"` + subscribe + `"}`,
		`"method":"resources/subscribe"`:                              `{"code":-32601,"message":"` + subscribe + `"}`,
		`"method":"tools/list","params":5`:                            `{"code":-32602,"message":"/params: must be an object"}`,
		`"method":"ping","params":5`:                                  `{"code":-32602,"message":"/params: must be an object"}`,
		`"method":"tools/call"`:                                       `{"code":-32602,"message":"/params: must be an object"}`,
		`"method":"tools/call","params":null`:                         `{"code":-32602,"message":"/params: must be an object"}`,
		`"method":"initialize","params":{"protocolVersion":5}`:        `{"code":-32602,"message":"/params/protocolVersion: must be a string"}`,
		`"method":"prompts/get","params":{"name":"x","arguments":[]}`: `{"code":-32602,"message":"/params/arguments: must be an object of strings"}`,
	} {
		message = `{"jsonrpc":"2.0","id":"a",` + message + `}`
		refused := `{"jsonrpc":"2.0","id":"a","error":` + want + `}`
		for _, version := range []string{"", "2025-03-26", "2024-11-05"} {
			require.JSONEq(t, refused, s.askMCP(version, message).is(200).text, message)
			for batch, answers := range map[string][]string{
				`[` + message + `]`:                {refused},
				`[` + ping + `,` + message + `]`:   {`{"jsonrpc":"2.0","id":1,"result":{}}`, refused},
				`[` + message + ` , ` + ping + `]`: {`{"jsonrpc":"2.0","id":1,"result":{}}`, refused},
			} {
				text := s.askMCP(version, batch).is(200).text
				var got []json.RawMessage
				if json.Unmarshal([]byte(text), &got) != nil {
					got = []json.RawMessage{json.RawMessage(text)}
				}
				require.Len(t, got, len(answers), "%s: %s", batch, text)
				for _, one := range answers {
					require.True(t, containsJSON(got, one), "%s: %s", batch, text)
				}
			}
		}
	}
}

func containsJSON(all []json.RawMessage, one string) bool {
	var want any
	_ = json.Unmarshal([]byte(one), &want)
	for _, text := range all {
		var got any
		if json.Unmarshal(text, &got) == nil && assert.ObjectsAreEqual(want, got) {
			return true
		}
	}
	return false
}

func TestABatchIsRefusedInOurWords(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for body, want := range map[string]string{
		`[]`:                  "the body is not a list of messages of JSON-RPC 2.0",
		`[` + ping + `,7]`:    "/1 is not a message of JSON-RPC 2.0",
		`[` + ping + `,{}]`:   `/1/jsonrpc: must be \"2.0\"`,
		`[{"jsonrpc":"2.0"}]`: "/0/method: is missing",
	} {
		require.Contains(t, s.askMCP("", body).is(400, "mcp_request_invalid").text, want, body)
	}
	require.Contains(t, s.askMCP("2025-06-18", `[`+ping+`]`).is(400, "mcp_request_invalid").text, "MCP has no batches from version 2025-06-18 on")
}

func TestAnUnknownNotificationIsIgnored(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, body := range []string{
		`{"jsonrpc":"2.0","method":"foo/bar"}`, `{"jsonrpc":"2.0","method":"notifications/x","params":5}`, `{"jsonrpc":"2.0","method":"notifications/progress"}`,
		`[{"jsonrpc":"2.0","method":"foo/bar"}]`,
	} {
		require.Empty(t, s.askMCP("2025-03-26", body).is(202).text, body)
	}
	text := s.askMCP("", `[{"jsonrpc":"2.0","method":"foo/bar"},`+ping+`]`).is(200).text
	require.Contains(t, text, `"result":{}`)
}

// Whether a method is known or not, the envelope is checked.
func TestAnEnvelopeIsCheckedWhateverItsMethod(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, method := range []string{"ping", "x/y", "tools/call"} { // the last has no parameters, and would be refused for that
		rest := `"method":"` + method + `"}`
		for body, want := range map[string]string{
			`{"jsonrpc":"1.0","id":1,` + rest:    `/jsonrpc: must be \"2.0\"`,
			`{"id":1,` + rest:                    `/jsonrpc: must be \"2.0\"`,
			`{"jsonrpc":"2.0","id":null,` + rest: "/id: must be a string, or an integer",
			`{"jsonrpc":"2.0","id":1.5,` + rest:  "/id: must be a string, or an integer",
		} {
			for _, version := range []string{"", "2025-06-18", "2026-07-28"} {
				require.Contains(t, s.askMCP(version, body).is(400, "mcp_request_invalid").text, want, body)
			}
		}
		body := `{"jsonrpc":"2.0","id":1,` + rest
		require.Contains(t, s.askMCP("1999-01-01", body).is(400, "mcp_request_invalid").text, "Unsupported protocol version")
		s.send(request{method: "POST", path: "/v1/acme/mcp", body: body, wrong: true, header: map[string]string{"Accept": "text/html", "Content-Type": "application/json"}}).is(400, "mcp_request_invalid")
	}
	for body, want := range map[string]string{
		`{"jsonrpc":"2.0","id":1,"method":""}`:                          "/method: must be the name of a method",
		`{"jsonrpc":"2.0","method":""}`:                                 "/method: must be the name of a method",
		`{"jsonrpc":"2.0","id":1,"method":null}`:                        "/method: must be the name of a method",
		`{"jsonrpc":"2.0","id":1,"method":5}`:                           "/method: must be the name of a method",
		`{"jsonrpc":"2.0","id":1,"Method":"ping"}`:                      "/method: is missing",
		`{"jsonrpc":"2.0","method":"ping"}`:                             "/id: must be a string",
		`{"jsonrpc":"2.0","result":{}}`:                                 "/id: must be a string",
		`{"jsonrpc":"2.0","id":1,"method":"notifications/initialized"}`: "/id: a notification has none",
	} {
		require.Contains(t, s.askMCP("", body).is(400, "mcp_request_invalid").text, want, body)
	}
}
