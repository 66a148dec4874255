package mcp

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/seed677028b5/integrations/admission"
	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

const (
	maxRequests = 100     // of HTTP in one session, answers to the server's own among them
	maxBytes    = 4 << 20 // that a server may send in one session

	// longMessage is what the SDK and we hold of a long message: the text a few times, and
	// what it is decoded to.
	longMessage = 96 << 20

	versionHeader = "Mcp-Protocol-Version"
)

// transport is the http.RoundTripper of the SDK's client in one session. It sends nothing
// but to the configured origin, adds the credentials, and bounds what the server sends.
// It ends with the session, whatever the SDK still does.
type transport struct {
	client http.RoundTripper
	origin string
	header http.Header // set where the SDK has set none of that name
	query  string      // credentials that go in the query
	life   context.Context
	cut    context.CancelFunc
	resume *Agreement // nil: the session agrees anew
	server Server     // signs what is sent

	mu       sync.Mutex
	err      *callerror.Error // why the session was stopped; nothing is sent after it
	kept     bool             // the session of the server outlives this one
	stream   roundTrip        // of what is no message: the stream of SSE
	version  string           // of the protocol, once it is agreed on
	left     int              // bytes that may still be sent
	requests int
}

// roundTrip is how one HTTP request ended, with its first answer if it was sent again.
// The lock of the transport guards its fields.
type roundTrip struct {
	message jsonrpc.Message // nil for what is none

	status int
	header http.Header
	media  string
	err    *callerror.Error
}

// roundTripKey is the key of a message's round trip in the context that it is sent with.
type roundTripKey struct{}

func newTransport(ctx context.Context, server Server) *transport {
	t := &transport{client: server.Client, origin: domain.Origin(server.URL), header: server.Header.Clone(), query: server.Query, left: maxBytes, resume: server.Resume, server: server}
	if _, sent, ok := strings.Cut(server.URL, "?"); ok { // the SDK sends that part
		t.query = strings.TrimPrefix(strings.TrimPrefix(t.query, sent), "&")
	}
	t.life, t.cut = context.WithCancel(context.WithoutCancel(ctx))
	return t
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	trip, _ := r.Context().Value(roundTripKey{}).(*roundTrip)
	if trip == nil {
		trip = &t.stream
	}
	if e := t.admit(r); e != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, e
	}
	if answer := t.answer(r, trip); answer != nil {
		answer.Request = r
		return answer, nil
	}
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(t.life, cancel)
	end := func() { stop(); cancel() }
	resp, err := t.send(t.withCredentials(r.WithContext(ctx)))
	if err != nil {
		defer end()
		var e *callerror.Error
		if !errors.As(err, &e) {
			e = callerror.Upstream("The request to the MCP server failed.")
		}
		e.Cause = nil // the SDK retries by the causes that it knows
		t.note(trip, roundTrip{err: e})
		return nil, e
	}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	got := roundTrip{status: resp.StatusCode, header: resp.Header, media: media}
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		got.err = callerror.Upstream("The MCP server packed its answer in an encoding that it was not offered.")
	}
	t.note(trip, got)
	if got.err != nil {
		_ = resp.Body.Close()
		end()
		return nil, got.err
	}
	resp.Body = &limitedBody{transport: t, trip: trip, body: resp.Body, ctx: r.Context(), end: end, stream: media == "text/event-stream"}
	return resp, nil
}

// send signs and sends a request.
func (t *transport) send(r *http.Request) (*http.Response, error) {
	if t.server.Sign != nil {
		if e := t.server.Sign(r); e != nil {
			return nil, e
		}
	}
	resp, err := t.client.RoundTrip(r)
	if err == nil && t.server.Answered != nil {
		t.server.Answered(resp.StatusCode, resp.Header)
	}
	return resp, err
}

// answer returns what the server would answer to a request that needs no sending, nil for
// any other.
func (t *transport) answer(r *http.Request, trip *roundTrip) *http.Response {
	t.mu.Lock()
	kept := t.kept
	t.mu.Unlock()
	if kept && r.Method == http.MethodDelete {
		return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: http.NoBody}
	}
	return t.resume.response(trip.message)
}

// admit returns the error of a request that must not be sent.
func (t *transport) admit(r *http.Request) *callerror.Error {
	t.mu.Lock()
	t.requests++
	requests, e := t.requests, t.err
	t.mu.Unlock()
	switch {
	case e != nil:
		return e
	case domain.Origin(r.URL.String()) != t.origin:
		return t.stop(&callerror.Error{
			Code: domain.CallUpstreamError, Unsent: true,
			Sentence: "The MCP server asked for its messages to be sent to another origin than that of mcp_url. Nothing was sent there.",
		})
	case requests > maxRequests:
		return t.stop(callerror.Upstream("The MCP server made more than %d requests of this one call.", maxRequests))
	}
	return nil
}

// withCredentials returns r with what the SDK's client has no field for.
func (t *transport) withCredentials(r *http.Request) *http.Request {
	r.Header = r.Header.Clone()
	for name, values := range t.header {
		if _, set := r.Header[name]; !set {
			r.Header[name] = values
		}
	}
	t.mu.Lock()
	version := t.version
	t.mu.Unlock()
	if version != "" && r.Header.Get(versionHeader) == "" {
		r.Header.Set(versionHeader, version)
	}
	if t.query != "" {
		target := *r.URL
		target.RawQuery = strings.TrimPrefix(target.RawQuery+"&"+t.query, "&")
		r.URL = &target
	}
	return r
}

func (t *transport) setVersion(version string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.version = version
}

// note keeps how a request ended. Later ones of the same message, which resume a broken
// stream, only change the error.
func (t *transport) note(trip *roundTrip, got roundTrip) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if trip.status == 0 {
		trip.status, trip.header, trip.media = got.status, got.header, got.media
	}
	trip.err = got.err
}

// stop ends the session with an error. The first one stays.
func (t *transport) stop(e *callerror.Error) *callerror.Error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = e
		t.cut()
	}
	return t.err
}

// accept counts bytes that the server sent, of a message that has size so far. It stops
// the session when there are too many.
func (t *transport) accept(n, size int, oversized bool) *callerror.Error {
	if size > admission.FreeBytes && admission.Answer(t.life, longMessage) != nil {
		return t.stop(callerror.Crowded())
	}
	if oversized {
		return t.stop(tooLong(maxMessage))
	}
	t.mu.Lock()
	t.left -= n
	exhausted := t.left < 0
	t.mu.Unlock()
	if exhausted {
		return t.stop(tooLong(maxBytes))
	}
	return nil
}

func tooLong(limit int) *callerror.Error {
	return &callerror.Error{Code: domain.CallResponseTooLarge, Sentence: fmt.Sprintf("The MCP server's answer is longer than %d KiB.", limit>>10)}
}
