package mcp

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// Agreement is what a session agreed on with its server: the version, the capabilities, and
// the session that the server opened. A later session that resumes it need not ask again.
// It has no secret but the id of that session.
type Agreement struct {
	method  string          // whose answer it is: initialize or server/discover
	result  json.RawMessage // as the server wrote it; nil: only the version is known
	version string
	session string // that the server opened; "": none
	used    int64  // the highest id of a request so far: none is used twice in a session
}

// HasState reports whether the server has opened a session, in which one call may leave
// something behind for the next.
func (a *Agreement) HasState() bool { return a.session != "" }

// Version returns what is left of an agreement without its session: a later session agrees
// anew, and does not try the versions that the server does not speak. It is nil where that
// saves nothing.
func (a *Agreement) Version() *Agreement {
	if a == nil || a.method != initializeMethod {
		return nil
	}
	return &Agreement{method: a.method, version: a.version}
}

func (a *Agreement) resumes() bool { return a != nil && a.result != nil }

// answer returns the answer of the server to the request that was agreed by, nil for any
// other message.
func (a *Agreement) answer(m jsonrpc.Message) *jsonrpc.Response {
	request, ok := m.(*jsonrpc.Request)
	if !ok || !a.resumes() || !request.IsCall() || request.Method != a.method {
		return nil
	}
	return &jsonrpc.Response{ID: request.ID, Result: a.result}
}

// response returns what a server answers over HTTP to a message that needs no sending:
// what was agreed on, or that it got to know of that. nil: it must be sent.
func (a *Agreement) response(m jsonrpc.Message) *http.Response {
	if !a.resumes() {
		return nil
	}
	header := http.Header{}
	if request, ok := m.(*jsonrpc.Request); ok && request.Method == initializedMethod {
		return &http.Response{StatusCode: http.StatusAccepted, Header: header, Body: http.NoBody}
	}
	answer := a.answer(m)
	if answer == nil {
		return nil
	}
	body, err := jsonrpc.EncodeMessage(answer)
	if err != nil {
		return nil
	}
	header.Set("Content-Type", "application/json")
	if a.session != "" {
		header.Set(sessionHeader, a.session)
	}
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(bytes.NewReader(body))}
}

// String implements fmt.Stringer, without the id of the session, which admits to it.
func (a *Agreement) String() string { return "an agreement with an MCP server" }
