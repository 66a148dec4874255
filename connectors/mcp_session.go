package connectors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/connectors/sandbox"
	"github.com/seed677028b5/integrations/domain"
)

// farewell is how long a session may take to say good-bye, when nobody waits
// for it any more.
const farewell = 2 * time.Second

// session is one conversation with an MCP server.
type session struct {
	wire    *wire
	heard   *heard
	inner   context.Context // of everything in the session: of the call, and over with the wire
	streams bool            // answers come on one stream, whatever a message is answered with

	mu     sync.Mutex
	client *sdk.ClientSession // once it is connected
	ended  bool

	program *sandbox.Process // once it is started; nil: the server is reached over HTTP
	lines   *lines           // what it says
}

// connect connects to the server of i and agrees on a version. Nothing was
// called by then, so retry decides how often that is tried; a probe tries once.
// It returns the attempts that failed.
func (m mcp) connect(ctx context.Context, i domain.Integration, out *outgoing, retry domain.RetryConfig) (*session, []domain.CallAttempt, *fault) {
	waits := &backoff.ExponentialBackOff{
		InitialInterval: m.way.firstWait, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: longestWait,
	}
	waits.Reset()
	var attempts []domain.CallAttempt
	for tries := 1; ; tries++ {
		start := time.Now() //nolint:forbidigo // a duration is measured, nothing is decided by it
		s, f := m.open(ctx, i, out)
		if f == nil {
			return s, attempts, nil
		}
		got := s.seen()
		attempts = append(attempts, domain.CallAttempt{StatusCode: got.status, Duration: time.Since(start), Error: f.shown(s.wire.scrubber)})
		if again, unrenewed := out.renewed(ctx, got.status); again {
			if unrenewed != nil {
				return s, attempts, unrenewed
			}
			tries--
			continue
		}
		asked, _ := m.way.askedFor(got.headers)
		worth := f.code == domain.CallUnreachable || slices.Contains(retry.RetryOnStatus, got.status)
		if tries > retry.MaxRetries || !worth || asked > longestAsked || !pause(ctx, max(asked, waits.NextBackOff())) {
			return s, attempts, f
		}
	}
}

// open connects once. The session is over already when there is a fault.
func (m mcp) open(ctx context.Context, i domain.Integration, out *outgoing) (*session, *fault) {
	s := &session{
		wire:    newWire(ctx, m.way.door, out, domain.Origin(i.MCPURL)),
		heard:   &heard{asked: map[jsonrpc.ID]string{}, results: map[string]json.RawMessage{}},
		streams: i.MCPTransport == domain.SSE,
	}
	inner, cancel := context.WithCancel(ctx)
	context.AfterFunc(s.wire.life, cancel)
	s.inner = inner
	transport, options := s.transport(m, i, out)
	err := await(inner, func() error { return s.shake(inner, transport, options, m.way.agent) })
	if err == nil {
		return s, nil
	}
	f := s.explain(ctx, err)
	s.end()
	return s, f
}

// shake has the SDK connect. It declines whatever a server may ask of its
// client, and signs in with nothing but what the wire puts on.
func (s *session) shake(ctx context.Context, transport sdk.Transport, options *sdk.ClientSessionOptions, agent string) error {
	client := sdk.NewClient(&sdk.Implementation{Name: "integrations", Version: agent}, &sdk.ClientOptions{
		Capabilities:   &sdk.ClientCapabilities{},
		MultiRoundTrip: &sdk.MultiRoundTripOptions{Disabled: true},
	})
	client.AddReceivingMiddleware(decline)
	connected, err := client.Connect(ctx, listener{transport, s.wire, s.heard}, options)
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

// transport is how the SDK reaches the server of i.
func (s *session) transport(m mcp, i domain.Integration, out *outgoing) (sdk.Transport, *sdk.ClientSessionOptions) {
	if out.program != nil {
		return spawned{programs: m.programs, workspace: i.Workspace, command: *out.program, session: s}, nil
	}
	fenced := &http.Client{Transport: s.wire, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if s.streams { // the transport is older than what came after that version
		return &sdk.SSEClientTransport{Endpoint: i.MCPURL, HTTPClient: fenced, MaxEventSize: 2 * maxBody}, &sdk.ClientSessionOptions{ProtocolVersion: "2025-11-25"}
	}
	return &sdk.StreamableClientTransport{
		Endpoint: i.MCPURL, HTTPClient: fenced, MaxRetries: 2, DisableStandaloneSSE: true, MaxEventSize: 2 * maxBody,
	}, nil
}

// decline answers what a server asks of its client, a ping aside.
func decline(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, request sdk.Request) (sdk.Result, error) {
		if request != nil && method != "ping" && !isNotification(method) {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "this client offers nothing to servers"}
		}
		return next(ctx, method, request)
	}
}

func isNotification(method string) bool {
	const prefix = "notifications/"
	return len(method) >= len(prefix) && method[:len(prefix)] == prefix
}

// request has the SDK make one request, and returns its result as it was
// written.
func (s *session) request(ctx context.Context, method string, ask func(context.Context, *sdk.ClientSession) error) (json.RawMessage, *fault) {
	s.heard.mu.Lock()
	delete(s.heard.results, method)
	s.heard.mu.Unlock()
	err := await(s.inner, func() error { return ask(s.inner, s.client) })
	s.heard.mu.Lock()
	result, ok := s.heard.results[method]
	s.heard.mu.Unlock()
	switch {
	case ok: // whatever the SDK makes of it
		return result, nil
	case err == nil:
		err = errors.New("there is no result")
	}
	return nil, s.explain(ctx, err)
}

// end ends the session, and returns at once.
func (s *session) end() {
	s.mu.Lock()
	s.ended = true
	client := s.client
	s.mu.Unlock()
	s.heard.mu.Lock()
	conn := s.heard.conn
	s.heard.mu.Unlock()
	if client == nil {
		s.wire.cut()
		if conn != nil {
			go func() { _ = conn.Close() }()
		}
		return
	}
	late := time.AfterFunc(farewell, func() { s.wire.cut(); _ = conn.Close() })
	go func() {
		_ = client.Close()
		late.Stop()
		s.wire.cut()
	}()
}

// await returns what do returns, or the error of ctx as soon as that ends: not
// every wait of the SDK is cut short by it. What a hostile answer makes the SDK
// stumble over is an error too.
func await(ctx context.Context, do func() error) error {
	done := make(chan error, 1)
	go func() {
		var err error
		defer func() {
			if stumbled := recover(); stumbled != nil {
				err = fmt.Errorf("the MCP client stumbled: %v", stumbled)
			}
			done <- err
		}()
		err = do()
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
