package connectors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"

	"github.com/seed677028b5/integrations/admission"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

const (
	mostSaid     = 4 << 20 // bytes that a server may say in one session
	mostRequests = 100     // HTTP requests of one session, answers to the server's own among them
)

// wire is what the SDK's client speaks through in one session, as its
// http.RoundTripper. It lets nothing out but to the configured origin, puts
// the credentials on, and bounds what comes back. It ends with the session,
// whatever the SDK still has under way.
type wire struct {
	door     http.RoundTripper
	origin   string
	header   http.Header // put on where the SDK has set none of that name
	query    string      // credentials that go in the query
	life     context.Context
	cut      context.CancelFunc
	scrubber scrub.Scrubber

	mu       sync.Mutex
	fault    *fault // of a fence; nothing is sent from there on
	opened   trip   // what is no message: the stream of SSE
	version  string // of the protocol, once it is agreed on
	left     int    // bytes that may still be said
	requests int
}

// trip is what came of one HTTP request, its first answer if it was sent
// again. Its fields belong to the wire's lock.
type trip struct {
	status  int
	headers http.Header
	media   string
	fault   *fault
}

// tripKey is the key of a message's trip in the context that it is sent
// with.
type tripKey struct{}

func newWire(ctx context.Context, door http.RoundTripper, out *outgoing, origin string) *wire {
	w := &wire{door: door, origin: origin, header: out.header.Clone(), scrubber: scrub.New(out.secrets...), left: mostSaid}
	w.query = out.url.RawQuery
	if at := strings.Index(out.base, "?"); at >= 0 { // of which the SDK has sent the rest already
		w.query = strings.TrimPrefix(strings.TrimPrefix(w.query, out.base[at+1:]), "&")
	}
	w.life, w.cut = context.WithCancel(context.WithoutCancel(ctx))
	return w
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	e, _ := r.Context().Value(tripKey{}).(*trip)
	if e == nil {
		e = &w.opened
	}
	if f := w.admit(r); f != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, f
	}
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(w.life, cancel)
	end := func() { stop(); cancel() }
	var seen progress
	resp, err := w.door.RoundTrip(w.dressed(r.WithContext(seen.watch(ctx))))
	if err != nil {
		defer end() // once it is explained
		f := seen.explain(r.Context(), err)
		w.note(e, trip{fault: f})
		return nil, f
	}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	got := trip{status: resp.StatusCode, headers: resp.Header, media: media}
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		got.fault = &fault{code: domain.CallUpstreamError, sentence: "The MCP server packed its answer in an encoding that it was not offered."}
	}
	w.note(e, got)
	if got.fault != nil {
		_ = resp.Body.Close()
		end()
		return nil, got.fault
	}
	resp.Body = &spoken{wire: w, trip: e, body: resp.Body, ctx: r.Context(), end: end, stream: media == "text/event-stream"}
	return resp, nil
}

// admit is the fault of a request that must not leave.
func (w *wire) admit(r *http.Request) *fault {
	w.mu.Lock()
	w.requests++
	requests, f := w.requests, w.fault
	w.mu.Unlock()
	switch {
	case f != nil:
		return f
	case domain.Origin(r.URL.String()) != w.origin:
		return w.stop(&fault{
			code: domain.CallUpstreamError, unsent: true,
			sentence: "The MCP server asked for its messages to be sent to another origin than that of mcp_url. Nothing was sent there.",
		})
	case requests > mostRequests:
		return w.stop(&fault{code: domain.CallUpstreamError, sentence: fmt.Sprintf("The MCP server made more than %d requests of this one call.", mostRequests)})
	}
	return nil
}

// dressed returns r with what the SDK's client has no field for.
func (w *wire) dressed(r *http.Request) *http.Request {
	r.Header = r.Header.Clone()
	for name, values := range w.header {
		if _, set := r.Header[name]; !set {
			r.Header[name] = values
		}
	}
	w.mu.Lock()
	version := w.version
	w.mu.Unlock()
	if version != "" && r.Header.Get(versionHeader) == "" {
		r.Header.Set(versionHeader, version)
	}
	if w.query != "" {
		target := *r.URL
		target.RawQuery = strings.TrimPrefix(target.RawQuery+"&"+w.query, "&")
		r.URL = &target
	}
	return r
}

const versionHeader = "Mcp-Protocol-Version"

// note keeps what came of a request. Later ones of the same message, which take
// up a broken stream again, only tell their fault.
func (w *wire) note(e *trip, got trip) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.status == 0 {
		e.status, e.headers, e.media = got.status, got.headers, got.media
	}
	e.fault = got.fault
}

// stop ends the session with the fault of a fence. The first one stays.
func (w *wire) stop(f *fault) *fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fault == nil {
		w.fault = f
		w.cut()
	}
	return w.fault
}

// take takes so many bytes off what may still be said.
func (w *wire) take(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left -= n
	return w.left >= 0
}

// longAnswer is what the SDK and we hold of a message of a session: the text a few
// times, and what it is decoded to.
const longAnswer = 96 << 20

// room takes room for a message once it is long.
func (w *wire) room(size int) *fault {
	if size <= admission.FreeBytes {
		return nil
	}
	if admission.Answer(w.life, longAnswer) != nil {
		return crowded()
	}
	return nil
}

// spoken is the body of an answer, which is of bounded size: as a whole, or for a
// stream in each of its events.
type spoken struct {
	wire   *wire
	trip   *trip
	body   io.ReadCloser
	ctx    context.Context // of the request whose answer this is
	end    func()
	stream bool
	size   int  // of this event, or of the whole
	blank  bool // the last line so far is empty
}

// Read implements io.Reader.
func (s *spoken) Read(p []byte) (int, error) {
	n, err := s.body.Read(p)
	s.measure(p[:n])
	if f := s.wire.room(s.size); f != nil {
		return 0, s.wire.stop(f)
	}
	switch {
	case s.size > maxBody:
		return 0, s.wire.stop(tooLong(maxBody))
	case !s.wire.take(n):
		return 0, s.wire.stop(tooLong(mostSaid))
	case err != nil && !errors.Is(err, io.EOF):
		s.wire.mu.Lock()
		s.trip.fault = unreadable(s.ctx, err)
		s.wire.mu.Unlock()
	}
	return n, err
}

// measure adds what was read to the size. An empty line ends an event.
func (s *spoken) measure(read []byte) {
	if !s.stream {
		s.size += len(read)
		return
	}
	for _, b := range read {
		s.size++
		switch {
		case b == '\n' && s.blank:
			s.size = 0
		case b == '\n':
			s.blank = true
		case b != '\r':
			s.blank = false
		}
		if s.size > maxBody {
			return
		}
	}
}

// Close implements io.Closer.
func (s *spoken) Close() error {
	defer s.end()
	return s.body.Close()
}

func tooLong(most int) *fault {
	return &fault{code: domain.CallResponseTooLarge, sentence: fmt.Sprintf("The MCP server's answer is longer than %d KiB.", most>>10)}
}
