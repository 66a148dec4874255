package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// streamEvents says how many events of the filter of the page there are that it does not show yet.
func streamEvents(p *page) error {
	name := p.Query("integration")
	return p.stream("/integrations/events/stream", "events", func(data []byte) bool {
		var e feedEvent
		return json.Unmarshal(data, &e) == nil && (p.Query("type") == "" || e.Type == p.Query("type")) && (p.Query("actor") == "" || e.Actor == p.Query("actor")) &&
			(name == "" || text(e.Name) == name || e.IntegrationID == name)
	})
}

// sessionContext ends with the session.
func (p *page) sessionContext() (context.Context, context.CancelFunc) {
	until := p.session.Started.Add(ValidFor)
	if idle := p.now().Add(idleFor); idle.Before(until) {
		until = idle
	}
	return context.WithTimeout(p.r.Context(), until.Sub(p.now()))
}

// stream says, by the template "fresh" of a page, how many events of a stream of the API are wanted
// that the page does not show yet. It ends with the session.
func (p *page) stream(path, template string, wanted func(data []byte) bool) error {
	ctx, cancel := p.sessionContext()
	defer cancel()
	last := p.r.Header.Get("Last-Event-ID")
	if last == "" {
		last = p.Query("from")
	}
	a := ask{method: http.MethodGet, path: p.below(path), header: map[string]string{}}
	if last != "" {
		a.header["Last-Event-ID"] = last
	}
	r, err := p.request(ctx, p.session.Key, a)
	if err != nil {
		return err
	}
	out := &translator{page: p, template: template, wanted: wanted, control: http.NewResponseController(p.w)}
	p.api.ServeHTTP(out, r)
	if out.status >= http.StatusBadRequest {
		p.w.WriteHeader(out.status)
	}
	return nil
}

// translator turns the stream of the API, which is JSON, into one of HTML.
type translator struct {
	page     *page
	template string
	wanted   func(data []byte) bool
	control  *http.ResponseController
	status   int
	header   http.Header
	pending  []byte
	count    int
}

// Header implements http.ResponseWriter.
func (t *translator) Header() http.Header {
	if t.header == nil {
		t.header = http.Header{}
	}
	return t.header
}

// WriteHeader implements http.ResponseWriter.
func (t *translator) WriteHeader(status int) {
	if t.status != 0 {
		return
	}
	if t.status = status; status < http.StatusBadRequest {
		h := t.page.w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("X-Accel-Buffering", "no") // proxies must not buffer it
		t.page.w.WriteHeader(status)
	}
}

// maxPending bounds a message of the API that is not complete yet.
const maxPending = 1 << 20

// Write implements http.ResponseWriter. A message that is an event counts; of others only their id goes on.
func (t *translator) Write(data []byte) (int, error) {
	t.WriteHeader(http.StatusOK)
	if t.status >= http.StatusBadRequest {
		return len(data), nil // a problem document; its status is enough
	}
	if len(t.pending)+len(data) > maxPending {
		return 0, io.ErrShortWrite
	}
	t.pending = append(t.pending, data...)
	for {
		message, rest, complete := bytes.Cut(t.pending, []byte("\n\n"))
		if !complete {
			return len(data), nil
		}
		t.pending = rest
		if err := t.send(message); err != nil {
			return 0, err
		}
	}
}

func (t *translator) send(message []byte) error {
	id, data := parseMessage(message)
	if data == nil || !t.wanted(data) {
		_, err := fmt.Fprintf(t.page.w, ": nothing new\nid: %s\n\n", id)
		return err
	}
	t.count++
	var b bytes.Buffer
	if err := t.page.pages.execute(&b, t.template, "fresh", struct{ Count int }{t.count}); err != nil {
		return err
	}
	_, err := fmt.Fprintf(t.page.w, "id: %s\ndata: %s\n\n", id, oneLine(b.Bytes()))
	return err
}

// oneLine returns HTML as the data of a message, which ends at a line break.
func oneLine(html []byte) []byte { return bytes.ReplaceAll(html, []byte("\n"), []byte(" ")) }

// parseMessage returns the id of a message of the API, and its data; nil: it is no event.
func parseMessage(message []byte) (id string, data []byte) {
	for line := range bytes.SplitSeq(message, []byte("\n")) {
		if value, ok := bytes.CutPrefix(line, []byte("id: ")); ok {
			id = string(value)
		}
		if value, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
			data = value
		}
	}
	return id, data
}

// FlushError sends everything written.
func (t *translator) FlushError() error { return t.control.Flush() }

// Flush implements http.Flusher.
func (t *translator) Flush() { _ = t.control.Flush() }

// SetWriteDeadline lets the API end a stream that nobody reads.
func (t *translator) SetWriteDeadline(at time.Time) error { return t.control.SetWriteDeadline(at) }
