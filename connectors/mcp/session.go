// Package mcp talks to MCP servers, over HTTP or as programs of this machine: it opens a
// session, lists tools and calls them.
//
// Its promise: a session sends nothing to another origin than that of its server, is
// bounded in requests and bytes, and ends with its context, whatever the SDK still does.
package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/domain"
)

// closeTimeout limits how long a session may take to close, when nobody waits for it any
// more.
const closeTimeout = 2 * time.Second

// Session is a conversation with an MCP server.
type Session struct {
	server    Server
	transport *transport
	recorder  *recorder
	ctx       context.Context // of everything in the session: of the call, and over with the transport

	mu     sync.Mutex
	client *sdk.ClientSession // once it is connected
	ended  bool

	reports int // that were passed on; of the reader alone

	program *program // nil: the server is reached over HTTP
}

// Connect connects to a server and agrees on a version. It returns the session, which
// has ended already, also with an error: Last returns how far it got.
func Connect(ctx context.Context, server Server) (*Session, *callerror.Error) {
	s := &Session{server: server, transport: newTransport(ctx, server), recorder: newRecorder()}
	if server.Start != nil {
		s.program = &program{transport: s.transport, start: server.Start, running: server.Running, resume: server.Resume}
	}
	inner, cancel := context.WithCancel(ctx)
	context.AfterFunc(s.transport.life, cancel)
	s.ctx = inner
	err := await(inner, func() error { return s.initialize(inner) })
	if err == nil {
		return s, nil
	}
	e := s.explain(ctx, err)
	s.Close()
	return s, e
}

// initialize has the SDK connect. The client declines whatever a server may ask of it,
// and has no credentials but those of the transport.
func (s *Session) initialize(ctx context.Context) error {
	client := sdk.NewClient(&sdk.Implementation{Name: "integrations", Version: s.server.Version}, &sdk.ClientOptions{
		Capabilities:   &sdk.ClientCapabilities{},
		MultiRoundTrip: &sdk.MultiRoundTripOptions{Disabled: true},
	})
	client.AddReceivingMiddleware(decline)
	client.AddSendingMiddleware(listKnown)
	through, options := s.sdkTransport()
	connected, err := client.Connect(ctx, recordingTransport{through, s.transport, s.recorder, s.server.Resume, s.report}, options)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		go func() { _ = connected.Close() }()
		return nil
	}
	s.client = connected
	return nil
}

// sdkTransport returns how the SDK reaches the server.
func (s *Session) sdkTransport() (sdk.Transport, *sdk.ClientSessionOptions) {
	var options *sdk.ClientSessionOptions
	if earlier := s.server.Resume; earlier != nil && earlier.method == initializeMethod && earlier.version != "" {
		options = &sdk.ClientSessionOptions{ProtocolVersion: earlier.version}
	}
	if s.program != nil {
		return s.program, options
	}
	client := &http.Client{Transport: s.transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }} //nolint:forbidigo // it sends through the transport of the session
	if s.server.SSE {                                                                                                                            // the transport is older than what came after that version
		return &sdk.SSEClientTransport{Endpoint: s.server.URL, HTTPClient: client, MaxEventSize: 2 * egress.MaxBody}, &sdk.ClientSessionOptions{ProtocolVersion: "2025-11-25"}
	}
	return &sdk.StreamableClientTransport{
		Endpoint: s.server.URL, HTTPClient: client, MaxRetries: 2, DisableStandaloneSSE: true, MaxEventSize: 2 * egress.MaxBody,
	}, options
}

// decline refuses what a server asks of its client, a ping aside.
func decline(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, request sdk.Request) (sdk.Result, error) {
		if request != nil && method != "ping" && !strings.HasPrefix(method, "notifications/") {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "this client offers nothing to servers"}
		}
		return next(ctx, method, request)
	}
}

// request has the SDK make one request, and returns its result as it was written.
func (s *Session) request(ctx context.Context, method string, send func(context.Context, *sdk.ClientSession) error) (json.RawMessage, *callerror.Error) {
	s.recorder.forget(method)
	err := await(s.ctx, func() error { return send(s.ctx, s.client) })
	result, ok := s.recorder.result(method)
	switch {
	case ok: // whatever the SDK makes of it
		return result, nil
	case err == nil:
		err = errors.New("there is no result")
	}
	return nil, s.explain(ctx, err)
}

// report passes on how far a call is. It is called by the reader of the session alone, before
// that reads the answer.
func (s *Session) report(params json.RawMessage) {
	var report struct {
		Token    any      `json:"progressToken"`
		Progress *float64 `json:"progress"`
		Total    float64  `json:"total"`
		Message  string   `json:"message"`
	}
	if s.server.Progress == nil || json.Unmarshal(params, &report) != nil || report.Token != progressToken || report.Progress == nil {
		return
	}
	if s.reports++; s.reports > maxProgress {
		return
	}
	s.server.Progress(domain.Progress{Done: *report.Progress, Total: report.Total, Message: s.quote(report.Message, MaxQuote)})
}

// Introduction names the agreed version, and the server.
func (s *Session) Introduction() string {
	agreed := s.client.InitializeResult()
	text := "The server speaks MCP " + s.quote(agreed.ProtocolVersion, 40)
	if server := agreed.ServerInfo; server != nil && server.Name != "" {
		text += " (" + s.quote(strings.TrimSpace(server.Name+" "+server.Version), 100) + ")"
	}
	return text
}

// SendsHeaders reports whether arguments travel as headers in the agreed version.
func (s *Session) SendsHeaders() bool {
	return s.client.InitializeResult().ProtocolVersion >= firstStateless
}

// Close ends the session, and returns at once.
func (s *Session) Close() {
	s.mu.Lock()
	s.ended = true
	client := s.client
	s.mu.Unlock()
	conn := s.recorder.connection()
	if client == nil {
		s.transport.cut()
		if conn != nil {
			go func() { _ = conn.Close() }()
		}
		return
	}
	late := time.AfterFunc(closeTimeout, func() { s.transport.cut(); _ = conn.Close() })
	go func() {
		_ = client.Close()
		late.Stop()
		s.transport.cut()
	}()
}
