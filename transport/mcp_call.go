package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/domain"
)

// plainCall is a request that calls a tool and asks for nothing else: no progress, no trace, and
// no feature of a protocol version that changes the form of the answer. Most calls are such. The
// SDK decodes a message eight times, each time with a buffer of 32 KiB, so that its garbage took
// more time than the call.
type plainCall struct {
	id        any // a string or a float64
	name      string
	arguments domain.Document
}

// plainVersions are the versions of the protocol in which the result of a tool has the same form,
// and needs no header but the version.
var plainVersions = []string{"", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"}

// isPlain reports whether the headers of a request are those that every version asks for.
func isPlain(h http.Header) bool {
	if !slices.Contains(plainVersions, h.Get("Mcp-Protocol-Version")) || len(h.Values("Last-Event-Id")) > 0 {
		return false
	}
	if media, _, err := mime.ParseMediaType(h.Get("Content-Type")); err != nil || media != "application/json" {
		return false
	}
	var inJSON, inStream bool
	for _, value := range h.Values("Accept") {
		for one := range strings.SplitSeq(value, ",") {
			one = strings.TrimSpace(one)
			inJSON, inStream = inJSON || one == "application/json", inStream || one == "text/event-stream"
		}
	}
	return inJSON && inStream
}

// readPlainCall returns the call in a message. Anything else is left to the SDK, and so is every
// message that is refused.
func readPlainCall(data []byte) (c plainCall, ok bool) {
	message, err := decode(data)
	if err != nil || len(message) != 4 || message["jsonrpc"] != "2.0" || message["method"] != "tools/call" {
		return plainCall{}, false
	}
	switch id := message["id"].(type) {
	case string:
		c.id = id
	case json.Number:
		n, err := strconv.ParseInt(string(id), 10, 64)
		if err != nil || n > 1<<53 || n < -1<<53 {
			return plainCall{}, false
		}
		c.id = float64(n)
	default:
		return plainCall{}, false
	}
	params, ok := message["params"].(map[string]any)
	if !ok {
		return plainCall{}, false
	}
	c.arguments = domain.Document{}
	for name, value := range params {
		switch {
		case name == "name":
			c.name, ok = value.(string)
		case name == "arguments" && value != nil:
			c.arguments, ok = value.(map[string]any)
		case name != "arguments":
			ok = false
		}
		if !ok {
			return plainCall{}, false
		}
	}
	return c, c.name != ""
}

// servePlainCall answers a call as the SDK does.
func (s *Server) servePlainCall(r *request, view mcpView, c plainCall) (answer, error) {
	id, err := jsonrpc.MakeID(c.id)
	if err != nil {
		return answer{}, err
	}
	asked := &mcpRequest{request: r, view: view}
	ctx, asked, end := s.inTraceOf(r.ctx, asked, nil, "tools/call")
	defer end()
	response := &jsonrpc.Response{ID: id}
	result, err := s.mcpCall(ctx, asked, c.name, func() (domain.Document, error) { return c.arguments, nil })
	if err != nil {
		response.Error = err
	} else if response.Result, err = marshalPlain(result); err != nil {
		return answer{}, err
	}
	data, err := jsonrpc.EncodeMessage(response)
	if err != nil {
		return answer{}, err
	}
	s.streamOf(r).extend()
	header := map[string]string{"Content-Type": "application/json", "Cache-Control": "no-cache, no-transform"}
	return answer{status: http.StatusOK, body: encoded(data), header: header}, nil
}

// mcpCall calls the tool with a name. What the model can correct is a result.
func (s *Server) mcpCall(ctx context.Context, r *mcpRequest, name string, arguments func() (domain.Document, error)) (*mcp.CallToolResult, error) {
	if id, endpoint, ok := r.storedTool(name); ok {
		if given, err := arguments(); err == nil {
			result, of, err := s.Commands.InvokeTool(ctx, r.caller, id, endpoint, given)
			if kind := domain.KindOf(err); kind != domain.NotFound && domain.CodeOf(err) != "integration_disabled" {
				return s.mcpResult(ctx, r, result, of, err, "/arguments")
			} // nothing was called, and the read model has the words
		}
	}
	tool, err := s.mcpTool(ctx, r, name)
	if err != nil {
		return nil, s.mcpError(ctx, err)
	}
	return s.mcpInvoke(ctx, r, tool, arguments, "/arguments")
}

// storedTool returns the integration and the endpoint that the name of a tool stands for, where
// the name has them, and both are stored: then nothing has to be read to find them.
func (r *mcpRequest) storedTool(name string) (domain.ID, string, bool) {
	if r.view.own || r.view.search || r.view.integrations != nil {
		return "", "", false
	}
	integration, endpoint, ok := domain.SplitToolName(name)
	id := domain.ParseID(r.workspace, integration)
	return id, endpoint, ok && !domain.IsBuiltin(r.workspace, id)
}

// marshalPlain writes a result as the SDK does, without escapes for HTML.
func marshalPlain(result *mcp.CallToolResult) (json.RawMessage, error) {
	var written bytes.Buffer
	encoder := json.NewEncoder(&written)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(result)
	return bytes.TrimRight(written.Bytes(), "\n"), err
}
