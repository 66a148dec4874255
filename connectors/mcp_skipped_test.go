package connectors

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

// listing is a server whose tools are written as JSON, and whose calls answer with the name
// that was called.
func listing(t *testing.T, tools ...string) string {
	t.Helper()
	return crooked(t, func(w http.ResponseWriter, r *http.Request, method string, id json.RawMessage) {
		if method == toolsList {
			replies(w, id, `"result":{"tools":[`+strings.Join(tools, ",")+`]}`)
			return
		}
		var message struct{ Params struct{ Name string } }
		_ = json.NewDecoder(r.Body).Decode(&message)
		replies(w, id, fmt.Sprintf(`"result":{"content":[{"type":"text","text":%q}]}`, "called "+message.Params.Name))
	})
}

func listed(name, more string) string {
	return fmt.Sprintf(`{"name":%q,"description":"A tool.","inputSchema":{"type":"object"}%s}`, name, more)
}

func TestMCPAToolThatIsMalformedHidesNoOther(t *testing.T) {
	for bad, reason := range map[string]string{
		`{"name":"bad","description":5,"inputSchema":{"type":"object"}}`:           "Its description is not a text.",
		`{"name":"bad","inputSchema":5}`:                                           "Its inputSchema is not an object.",
		`{"name":"bad","inputSchema":[]}`:                                          "Its inputSchema is not an object.",
		`{"name":"bad","inputSchema":{"type":"string"}}`:                           `Its inputSchema takes no object, but the type "string".`,
		listed("bad", `,"execution":{"taskSupport":"required"}`):                   "It can be called as a task only, which is not supported.",
		`{"name":"bad","inputSchema":{"properties":{"a":{"x-mcp-header":"a b"}}}}`: `The header of its parameter "a" is not the name of a header.`,
		`{"name":"bad","inputSchema":{"properties":{"a":{"x-mcp-header":"A"}}}}`:   `Its parameter "a" can't travel as a header: it is no string, integer or boolean.`,
		`{"name":5,"inputSchema":{}}`:                                              "It has no name.",
		`{"description":"x"}`:                                                      "It has no name.",
		`null`:                                                                     "It has no name.",
		`"bad"`:                                                                    "It has no name.",
		listed("good", `,"title":"another"`):                                       "The server lists another tool of the same name.",
		`{"name":"bad","inputSchema":{"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"properties":{"c":{"type":"string","x-mcp-header":"a"}}}}}}`: "Two of its parameters travel as the header",
	} {
		t.Run(bad, func(t *testing.T) {
			r, at := onLoopback(t), listing(t, listed("good", `,"outputSchema":5`), bad)
			i := tooling(domain.HTTP, at, "good", nil).Integration
			found, err := r.Discover(t.Context(), i, nil, domain.Description{})
			require.NoError(t, err)
			require.Empty(t, found.Error)
			require.Len(t, found.Offers, 1)
			require.Equal(t, "good", found.Offers[0].Name)
			require.Len(t, found.Skipped, 1)
			require.Contains(t, found.Skipped[0].Reason, reason)
			require.Equal(t, 2, found.Total)
			require.Equal(t, domain.Healthy, r.Probe(t.Context(), i, nil).Status)
			require.Equal(t, "called good", succeeds(t, r, tooling(domain.HTTP, at, "good", nil)).FinalResult)
			if strings.Contains(bad, `"bad"`) && strings.HasPrefix(bad, "{") {
				got := failsWith(t, r, tooling(domain.HTTP, at, "bad", nil), domain.CallMisconfigured)
				require.Contains(t, got.Error, `The tool "bad" of the MCP server can't be called. `+reason)
			}
		})
	}
}

func TestMCPAToolWhoseNameNoEndpointCanHaveIsOfferedUnderAnother(t *testing.T) {
	long := strings.Repeat("x", 200)
	r, at := onLoopback(t), listing(t, listed("repo.list", ""), listed("repo/list", ""), listed("größe", ""), listed("..", ""), listed(long, ""), listed("plain", ""))
	found, err := r.Discover(t.Context(), tooling(domain.HTTP, at, "x", nil).Integration, nil, domain.Description{})
	require.NoError(t, err)
	require.Empty(t, found.Skipped)
	require.Len(t, found.Offers, 6)
	tools, names := map[string]bool{}, map[string]bool{}
	for _, offer := range found.Offers {
		call := tooling(domain.HTTP, at, offer.Name, nil)
		call.Endpoint.Tool = offer.Tool
		tool := offer.Tool
		if tool == "" {
			tool = offer.Name
		}
		require.Equal(t, "called "+tool, succeeds(t, r, call).FinalResult)
		require.Regexp(t, `^[A-Za-z0-9_-]{1,128}$`, offer.Name)
		tools[tool], names[offer.Name] = true, true
	}
	require.Len(t, tools, 6)
	require.Len(t, names, 6)
	require.Equal(t, "repo_list", found.Offers[0].Name)
	require.Empty(t, found.Offers[5].Tool)
}

func TestMCPAnOfferHasTheTitleAndTheAnnotationsOfTheTool(t *testing.T) {
	r, at := onLoopback(t), listing(t, listed("search", `,"title":"Search it","annotations":{"readOnlyHint":true,"title":"x"}`), listed("odd", `,"title":5,"annotations":{"readOnlyHint":"yes"}`))
	found, err := r.Discover(t.Context(), tooling(domain.HTTP, at, "x", nil).Integration, nil, domain.Description{})
	require.NoError(t, err)
	require.Equal(t, "Search it", found.Offers[0].Title)
	require.Equal(t, &domain.Annotations{ReadOnly: new(true)}, found.Offers[0].Annotations)
	require.Equal(t, "odd", found.Offers[1].Name)
	require.Nil(t, found.Offers[1].Annotations)
}

func TestMCPAnAnswerIsFoundByItsIDOrRefusedAtOnce(t *testing.T) {
	for name, row := range map[string]struct {
		id   func(string) string
		want string
	}{
		"the number as text": {func(id string) string { return `"` + id + `"` }, ""},
		"another number":     {func(string) string { return "4711" }, "which no request has"},
		"another text":       {func(string) string { return `"x"` }, "which no request has"},
	} {
		t.Run(name, func(t *testing.T) {
			at := crooked(t, func(w http.ResponseWriter, _ *http.Request, _ string, id json.RawMessage) {
				replies(w, json.RawMessage(row.id(string(id))), `"result":{"content":[{"type":"text","text":"done"}]}`)
			})
			got, err := onLoopback(t).Call(t.Context(), own(domain.HTTP, at))
			require.NoError(t, err)
			if row.want == "" {
				require.Equal(t, "done", got.FinalResult, got.Error)
				return
			}
			require.Equal(t, domain.CallUpstreamError, got.ErrorCode)
			require.Contains(t, got.Error, row.want)
		})
	}
}

func TestMCPWhatIsWrongWithAServerIsNamed(t *testing.T) {
	status := func(w http.ResponseWriter, status int) { w.WriteHeader(status) }
	for name, row := range map[string]struct {
		transport domain.MCPTransport
		serve     func(http.ResponseWriter, *http.Request, string, json.RawMessage)
		want      string
	}{
		"an unknown version": {domain.HTTP, func(w http.ResponseWriter, _ *http.Request, method string, id json.RawMessage) {
			if method == "initialize" {
				replies(w, id, `"result":{"protocolVersion":"1999-12-31","capabilities":{},"serverInfo":{"name":"x","version":"0"}}`)
				return
			}
			replies(w, id, `"error":{"code":-32601,"message":"no such method"}`)
		}, "protocol version 1999-12-31, which is not known here"},
		"a version that is refused": {domain.HTTP, func(w http.ResponseWriter, _ *http.Request, _ string, id json.RawMessage) {
			replies(w, id, `"error":{"code":-32602,"message":"Unsupported protocol version","data":{"supported":["1999-12-31"],"requested":"x"}}`)
		}, "It supports the protocol versions 1999-12-31; known here are 2026-07-28"},
		"the older transport": {domain.HTTP, func(w http.ResponseWriter, _ *http.Request, _ string, _ json.RawMessage) { status(w, 405) }, "try the mcp_transport sse"},
		"the newer transport": {domain.SSE, func(w http.ResponseWriter, _ *http.Request, _ string, _ json.RawMessage) { status(w, 405) }, "try the mcp_transport http"},
		"a session that is gone": {domain.HTTP, func(w http.ResponseWriter, _ *http.Request, method string, id json.RawMessage) {
			switch {
			case method == "initialize":
				w.Header().Set("Mcp-Session-Id", "s1")
				replies(w, id, `"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"x","version":"0"}}`)
			case method == "server/discover":
				replies(w, id, `"error":{"code":-32601,"message":"no such method"}`)
			case id == nil:
				status(w, 202)
			default:
				status(w, 404)
			}
		}, "no longer knows the session"},
	} {
		t.Run(name, func(t *testing.T) {
			at := answering(t, row.serve)
			got, err := onLoopback(t).Call(t.Context(), own(row.transport, at))
			require.NoError(t, err)
			require.Contains(t, got.Error, row.want)
		})
	}
}
