package connectors

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

// mostTold is how many characters of what a server says go into a sentence.
const mostTold = 1000

// seen returns what HTTP told of the last request.
func (s *session) seen() trip {
	s.heard.mu.Lock()
	last := s.heard.last
	s.heard.mu.Unlock()
	s.wire.mu.Lock()
	defer s.wire.mu.Unlock()
	if last == nil || last.fault == nil && last.status < 300 && s.streams {
		return s.wire.opened
	}
	return *last
}

// explain turns the error of a request into a fault. The wire knows more of it
// than the SDK says.
func (s *session) explain(ctx context.Context, err error) *fault {
	s.heard.mu.Lock()
	refused := s.heard.refused
	s.heard.mu.Unlock()
	s.wire.mu.Lock()
	fenced := s.wire.fault
	s.wire.mu.Unlock()
	got := s.seen()
	s.mu.Lock()
	started := s.program != nil
	s.mu.Unlock()
	switch {
	case ctx.Err() != nil && started:
		return &fault{code: domain.CallTimeout, sentence: late(ctx) + s.lastWords()}
	case ctx.Err() != nil:
		return &fault{code: domain.CallTimeout, sentence: late(ctx)}
	case fenced != nil:
		return fenced
	case got.fault != nil:
		return got.fault
	case refusal(got.status) != nil && got.status != 0:
		return s.refusedWith(got.status, err)
	case refused != nil:
		if told := rpcError(refused); told != nil {
			return s.refusedBy(told)
		}
		return &fault{code: domain.CallUpstreamError, sentence: "The MCP server ended its answer without a result."}
	case started:
		return s.broken(ctx)
	case got.status != 0 && got.status != 202 && got.media != "application/json" && got.media != "text/event-stream":
		return misconfiguredServer("What is at mcp_url answers with something else than MCP: check the URL and mcp_transport.")
	}
	return &fault{code: domain.CallUpstreamError, sentence: "What the MCP server answered is not MCP, or it closed the connection before it had answered."}
}

// misconfiguredServer is misconfigured for what was found out by asking.
func misconfiguredServer(format string, args ...any) *fault {
	f := misconfigured(format, args...)
	f.unsent = false
	return f
}

// refusedWith is the fault of a status, with what the server said in JSON-RPC.
func (s *session) refusedWith(status int, err error) *fault {
	f := refusal(status)
	if told := rpcError(err); told != nil && strings.TrimSpace(told.Message) != "" {
		f.sentence += " It said: " + s.quote(told.Message)
	}
	return f
}

// refusedBy is the fault of an error in JSON-RPC.
func (s *session) refusedBy(told *jsonrpc.Error) *fault {
	f := &fault{code: domain.CallUpstreamError}
	if told.Code == jsonrpc.CodeInvalidParams || told.Code == jsonrpc.CodeMethodNotFound {
		f.code = domain.CallMisconfigured
	}
	f.sentence = fmt.Sprintf("The MCP server refused with error %d: %s", told.Code, s.quote(told.Message))
	return f
}

// quote returns what a server said as the end of a sentence. Secrets go before
// it is cut, so that none is cut in two.
func (s *session) quote(said string) string {
	return jsonvalue.Abbreviate(strings.TrimRight(s.wire.scrubber.Text(strings.TrimSpace(said)), ". \n"), mostTold) + "."
}

// rpcError returns the error that a server answered with, nil when it is one of
// the SDK's own.
func rpcError(err error) *jsonrpc.Error {
	const (
		rejected    = -32005 // what the SDK says of a request that was not accepted
		placeholder = "rejected by transport"
	)
	var told *jsonrpc.Error
	if !errors.As(err, &told) || told.Code == rejected && told.Message == placeholder {
		return nil
	}
	return told
}

// toolResult is the result of a tool, as far as it is read.
type toolResult struct {
	Content    []json.RawMessage `json:"content"`
	Structured json.RawMessage   `json:"structuredContent"`
	IsError    bool              `json:"isError"`
	Type       string            `json:"resultType"`
}

// readTool returns the answer in a result of tools/call: its structured content,
// else its one text, else its content as it is.
func (s *session) readTool(result json.RawMessage) ([]byte, *fault) {
	var read toolResult
	if json.Unmarshal(result, &read) != nil {
		return nil, &fault{code: domain.CallUpstreamError, sentence: "What the MCP server answered is not the result of a tool."}
	}
	body := []byte(read.Structured)
	if len(body) == 0 || bytes.Equal(body, []byte("null")) {
		body = plainContent(read.Content)
	}
	switch {
	case read.Type == "input_required":
		return body, &fault{code: domain.CallUpstreamError, sentence: "The tool asks for more input while it runs, which is not offered here."}
	case read.IsError:
		told := texts(read.Content)
		if told == "" {
			told = string(body)
		}
		f := &fault{code: domain.CallToolError, sentence: "The tool failed and said nothing of why."}
		if told = strings.TrimSpace(told); told != "" {
			f.sentence = "The tool failed: " + s.quote(told)
		}
		return body, f
	}
	return body, nil
}

func plainContent(content []json.RawMessage) []byte {
	switch {
	case len(content) == 0:
		return nil
	case len(content) == 1:
		if one, ok := textOf(content[0]); ok {
			return []byte(one)
		}
	}
	whole, _ := json.Marshal(content) // each has been read as JSON
	return whole
}

func texts(content []json.RawMessage) string {
	var all []string
	for _, c := range content {
		if one, ok := textOf(c); ok {
			all = append(all, one)
		}
	}
	return strings.Join(all, "\n")
}

// textOf returns a content's text, if that is what it is.
func textOf(content json.RawMessage) (string, bool) {
	var read struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if json.Unmarshal(content, &read) != nil || read.Type != "text" {
		return "", false
	}
	return read.Text, true
}
