package mcp

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

// Response is the answer of HTTP to a request: the first one of its message.
type Response struct {
	Status int
	Header http.Header
}

// Last returns the answer of HTTP to the last request.
func (s *Session) Last() Response {
	last := s.lastRoundTrip()
	return Response{Status: last.status, Header: last.header}
}

func (s *Session) lastRoundTrip() roundTrip {
	last, _ := s.recorder.lastRequest()
	s.transport.mu.Lock()
	defer s.transport.mu.Unlock()
	if last == nil || last.err == nil && last.status < 300 && s.server.SSE { // answers arrive on one stream
		return s.transport.stream
	}
	return *last
}

// explain returns the call error of a request. The transport knows more about it than
// the error of the SDK.
func (s *Session) explain(ctx context.Context, err error) *callerror.Error {
	_, refused := s.recorder.lastRequest()
	s.transport.mu.Lock()
	stopped := s.transport.err
	s.transport.mu.Unlock()
	got, started := s.lastRoundTrip(), s.program.started()
	switch {
	case ctx.Err() != nil && started:
		e := callerror.Timeout(ctx)
		e.Sentence += s.program.stderr(s.server.Scrubber.Text)
		return e
	case ctx.Err() != nil:
		return callerror.Timeout(ctx)
	case stopped != nil:
		return stopped
	case got.err != nil:
		return got.err
	case got.status != 0 && callerror.OfStatus(got.status) != nil:
		return s.refusedWith(got, err)
	case s.unknownVersion() != "":
		return callerror.FoundMisconfigured("The MCP server speaks the protocol version %s, which is not known here. Known are %s.",
			s.quote(s.unknownVersion(), 40), strings.Join(sdk.SupportedProtocolVersions(), ", "))
	case refused != nil:
		if answer := rpcError(refused); answer != nil {
			return s.refusedBy(answer)
		}
		return callerror.Upstream("The MCP server ended its answer without a result.")
	case started:
		return s.program.explain(ctx, s.server.Scrubber.Text)
	case got.status != 0 && got.status != http.StatusAccepted && got.media != "application/json" && got.media != "text/event-stream":
		return callerror.FoundMisconfigured("What is at mcp_url answers with something else than MCP: check the URL and mcp_transport.")
	}
	return callerror.Upstream("What the MCP server answered is not MCP, or it closed the connection before it had answered.")
}

// unknownVersion returns the version that the server chose when it is not known, else "".
func (s *Session) unknownVersion() string {
	var chosen struct {
		ProtocolVersion string `json:"protocolVersion"`
	}
	result, ok := s.recorder.result(initializeMethod)
	if !ok || json.Unmarshal(result, &chosen) != nil || slices.Contains(sdk.SupportedProtocolVersions(), chosen.ProtocolVersion) {
		return ""
	}
	return cmp.Or(chosen.ProtocolVersion, "(none)")
}

// refusedWith returns the error of a status, with the message of the server in JSON-RPC and
// what it may mean.
func (s *Session) refusedWith(got roundTrip, err error) *callerror.Error {
	e := callerror.OfAnswer(got.status, got.header, nil)
	if answer := rpcError(err); answer != nil && strings.TrimSpace(answer.Message) != "" {
		e.Sentence += " It said: " + s.sentence(answer.Message)
		return e
	}
	s.mu.Lock()
	connected := s.client != nil
	s.mu.Unlock()
	unsupported := got.status == http.StatusNotFound || got.status == http.StatusMethodNotAllowed || got.status == http.StatusBadRequest ||
		got.status == http.StatusNotAcceptable
	switch {
	case connected && got.status == http.StatusNotFound:
		e.Sentence = "The MCP server no longer knows the session that it had opened (404 Not Found): it was restarted, or its instances don't share their sessions."
	case !connected && unsupported && s.server.SSE:
		e.Sentence += " There may be no MCP server at mcp_url, or one that has no HTTP with SSE: try the mcp_transport http."
	case !connected && unsupported:
		e.Sentence += " There may be no MCP server at mcp_url, or one that has the older transport only: try the mcp_transport sse."
	}
	return e
}

// refusedBy returns the call error of an error in JSON-RPC.
func (s *Session) refusedBy(answer *jsonrpc.Error) *callerror.Error {
	e := callerror.Upstream("The MCP server refused with error %d: %s", answer.Code, s.sentence(answer.Message))
	var versions sdk.UnsupportedProtocolVersionData
	if json.Unmarshal(answer.Data, &versions) == nil && len(versions.Supported) > 0 {
		e.Code = domain.CallMisconfigured
		e.Sentence += fmt.Sprintf(" It supports the protocol versions %s; known here are %s.",
			s.quote(strings.Join(versions.Supported, ", "), 200), strings.Join(sdk.SupportedProtocolVersions(), ", "))
	} else if len(answer.Data) > 0 && string(answer.Data) != "null" {
		e.Sentence += " Its data: " + s.quote(string(answer.Data), MaxQuote)
	}
	if answer.Code == jsonrpc.CodeInvalidParams || answer.Code == jsonrpc.CodeMethodNotFound {
		e.Code = domain.CallMisconfigured
	}
	return e
}

// quote returns the first characters, up to a limit, of a text of the server. Secrets are masked
// before it is cut, so that none is cut in two.
func (s *Session) quote(text string, limit int) string {
	return jsonvalue.Abbreviate(s.server.Scrubber.Text(text), limit)
}

// sentence returns a text of the server as the end of a sentence.
func (s *Session) sentence(text string) string {
	return jsonvalue.Abbreviate(strings.TrimRight(s.server.Scrubber.Text(strings.TrimSpace(text)), ". \n"), MaxQuote) + "."
}

// rpcError returns the error that a server answered with, nil when it is one of the SDK.
func rpcError(err error) *jsonrpc.Error {
	const (
		rejected    = -32005 // the SDK's code for a request that was not accepted
		placeholder = "rejected by transport"
	)
	var answer *jsonrpc.Error
	if !errors.As(err, &answer) || answer.Code == rejected && answer.Message == placeholder {
		return nil
	}
	return answer
}
