package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	renderEvery = 250 * time.Millisecond // a timeline is drawn anew at most so often
	quietEvery  = 15 * time.Second       // after so long without news, proxies are sent a comment
	maxWatchers = 500                    // timelines that are watched in this process
)

// streamTimeline draws the timeline of the page anew whenever something happens that it shows: a
// change, a probe, a call. It ends with the session.
func streamTimeline(p *page) error {
	if p.watchers.Add(1) > maxWatchers {
		p.watchers.Add(-1)
		return &problem{Status: http.StatusServiceUnavailable, Title: "Too many", Detail: "Too many timelines are watched at present. Reload the page to see what is new.", Code: "too_many_listeners"}
	}
	defer p.watchers.Add(-1)
	var id, of string
	if p.r.PathValue("name") != "" {
		i, err := p.one()
		if err != nil {
			return err
		}
		id, of = i.ID, p.part0()
	}
	ctx, cancel := p.sessionContext()
	news, done := p.watch(ctx, id, of)
	defer func() { cancel(); done() }()
	p.r = p.r.Clone(ctx) // links of what is drawn are those of the page
	p.r.URL.Path = strings.TrimSuffix(p.r.URL.Path, "/live")
	p.w.Header().Set("Content-Type", "text/event-stream")
	p.w.Header().Set("X-Accel-Buffering", "no") // proxies must not buffer it
	control := http.NewResponseController(p.w)
	send := func(message []byte) error {
		_ = control.SetWriteDeadline(p.now().Add(10 * time.Second)) // a connection without deadlines ignores it
		if _, err := p.w.Write(message); err != nil {
			return err
		}
		return control.Flush()
	}
	quiet := time.NewTicker(quietEvery)
	defer quiet.Stop()
	message := []byte(": watching\n\n") // what happened since the page was made is in the first news
	for {
		if err := send(message); err != nil {
			return nil //nolint:nilerr // the browser has gone
		}
		select {
		case <-news:
			html, err := p.drawTimeline()
			if err != nil {
				return nil //nolint:nilerr // the stream ends, and the browser comes back
			}
			message = fmt.Appendf(nil, "data: %s\n\n", oneLine(html))
			wait(ctx, renderEvery)
		case <-quiet.C:
			message = []byte(": nothing new\n\n")
		case <-ctx.Done():
			return nil
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// drawTimeline returns the part of the timeline that changes.
func (p *page) drawTimeline() ([]byte, error) {
	var b bytes.Buffer
	d, err := p.loadTimeline()
	if err == nil {
		p.Data = d
		err = p.pages.execute(&b, "timeline", "now", p)
	}
	return b.Bytes(), err
}

// watch returns a channel that has a value when there is something new of an integration, or with
// no id of the workspace, and what waits until nothing is watched any more once ctx has ended.
func (p *page) watch(ctx context.Context, id, of string) (news <-chan struct{}, done func()) {
	happened := make(chan struct{}, 1)
	var all sync.WaitGroup
	for _, path := range []string{"/integrations/events/stream", "/integrations/calls/stream", "/integrations/" + of + "/health/stream"} {
		if strings.Contains(path, "//") {
			continue // a workspace has no probes of its own
		}
		r, err := p.request(ctx, p.session.Key, ask{method: http.MethodGet, path: p.below(path)})
		if err != nil {
			continue // it is a path of ours; this can't happen
		}
		all.Go(func() {
			p.api.ServeHTTP(&listener{id: id, happened: happened}, r)
		})
	}
	return happened, all.Wait
}

// listener notes whether a stream of the API has something new of an integration.
type listener struct {
	id       string // "": of any
	happened chan<- struct{}
	header   http.Header
	pending  []byte
	begun    bool
}

// Header implements http.ResponseWriter.
func (l *listener) Header() http.Header {
	if l.header == nil {
		l.header = http.Header{}
	}
	return l.header
}

// WriteHeader implements http.ResponseWriter.
func (l *listener) WriteHeader(int) {}

// Write implements http.ResponseWriter. The first message of a stream has the position at which it
// begins: what happened before is in what is drawn then.
func (l *listener) Write(data []byte) (int, error) {
	if len(l.pending)+len(data) > maxPending {
		return 0, http.ErrContentLength
	}
	l.pending = append(l.pending, data...)
	for {
		message, rest, complete := bytes.Cut(l.pending, []byte("\n\n"))
		if !complete {
			return len(data), nil
		}
		l.pending = rest
		var about struct {
			ID string `json:"integration_id"`
		}
		_, event := parseMessage(message)
		if event != nil && (json.Unmarshal(event, &about) != nil || about.ID != "" && l.id != "" && about.ID != l.id) {
			continue
		}
		if event == nil && l.begun {
			continue
		}
		l.begun = true
		select {
		case l.happened <- struct{}{}:
		default: // it will be drawn anyway
		}
	}
}

// Flush implements http.Flusher.
func (l *listener) Flush() {}
