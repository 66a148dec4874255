package transport

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"time"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/domain"
)

// stream is a response that is written in parts. A caller who reads nothing for a while is
// disconnected. Silence doesn't count: each write has its own deadline.
type stream struct {
	http.ResponseWriter
	control *http.ResponseController
	within  time.Duration
}

// takeWithin is how long a caller may read nothing, by default.
const takeWithin = 10 * time.Second

func (s *Server) newStream(r *request, media string) stream {
	r.Header("Content-Type", media)
	r.Header("Cache-Control", "no-store")
	r.Header("X-Accel-Buffering", "no") // proxies must not buffer it
	r.Status(http.StatusOK)
	return s.streamOf(r)
}

// streamOf returns the response of a request as a stream, whose headers are not set.
func (s *Server) streamOf(r *request) stream {
	return stream{r.Writer, http.NewResponseController(r.Writer), cmp.Or(s.TakeWithin, takeWithin)}
}

// extend sets the deadline of a write. A connection without deadlines ignores it.
func (s stream) extend() { _ = s.control.SetWriteDeadline(time.Now().Add(s.within)) } //nolint:forbidigo // a deadline of the network

// Write writes, and flushes large amounts.
func (s stream) Write(p []byte) (int, error) {
	s.extend()
	return s.ResponseWriter.Write(p)
}

// flush sends everything written.
func (s stream) flush() error {
	s.extend()
	return s.control.Flush()
}

// breakOff aborts a response that can't be completed.
func (s *Server) breakOff(r *request, err error) {
	s.Log.WarnContext(r, "a response was aborted", slog.String("request_id", requestID(r.Context)), slog.Any("err", err))
	panic(http.ErrAbortHandler)
}

// EncodeEvent encodes an event as a server-sent event (HTML Standard, 9.2), without its id.
func EncodeEvent(e audit.Entry) []byte { return encode(e.Type, showEvent(e)) }

func encode(typ string, shown any) []byte {
	data, err := json.Marshal(shown)
	if err != nil {
		return nil // plain data; this can't happen
	}
	var b bytes.Buffer
	b.WriteString("event: " + typ + "\ndata: ")
	b.Write(data)
	b.WriteString("\n\n")
	return b.Bytes()
}

// recheckEvery is how often the key of a listener is checked for expiry. A revocation takes
// effect immediately.
const recheckEvery = time.Second

// accessChanges counts the changes of keys and of what tokens permit.
func (s *Server) accessChanges() uint64 {
	if s.Tokens == nil {
		return s.Keys.Changes()
	}
	return s.Keys.Changes() + s.Tokens.Changes()
}

// streamEvents streams the events of the workspace, from now on or after the position in
// Last-Event-ID.
func (s *Server) streamEvents(r *request) (answer, error) { return s.follow(r, s.Live) }

// follow streams what live notifies of, as far as the key sees it.
func (s *Server) follow(r *request, live *audit.Live) (answer, error) {
	return s.followOnly(r, live, func(note audit.Notification) audit.Notification { return live.Seen(note, r.key.Scope) })
}

// followOnly streams what live notifies of, as seen shows it.
func (s *Server) followOnly(r *request, live *audit.Live, seen func(audit.Notification) audit.Notification) (answer, error) {
	var after *uint64
	if last := r.GetHeader("Last-Event-ID"); last != "" {
		position, err := live.ParsePosition(last)
		if refusal, ok := errors.AsType[*domain.Error](err); ok && refusal.Code == "position_invalid" {
			return answer{}, domain.Errorf(domain.Invalid, "last_event_id_invalid", "Last-Event-ID must be the id of an event of this stream")
		}
		if err != nil {
			return answer{}, err
		}
		after = &position
	}
	if r.Request.Method == http.MethodHead {
		return answer{status: http.StatusOK, header: map[string]string{"Content-Type": "text/event-stream"}}, nil
	}
	var out *stream
	known, checked := s.accessChanges(), s.Now()
	for note, err := range live.Listen(r, r.workspace, after) {
		if err != nil {
			return s.streamEnded(r, out, err)
		}
		if out == nil {
			out = new(s.newStream(r, "text/event-stream"))
		}
		if changes, now := s.accessChanges(), s.Now(); changes != known || now.Sub(checked) >= recheckEvery {
			if !s.stillMay(r, access.View) {
				return answer{done: true}, nil
			}
			known, checked = changes, now
		}
		if out.send(seen(note), live.NamePosition(note.Position)) != nil {
			break
		}
	}
	return answer{done: true}, nil
}

// stillMay reports whether a request that goes on would be accepted again, for a caller who sees
// the same: a key may have been revoked or have expired, and what a token permits have changed.
func (s *Server) stillMay(r *request, needs access.Permission) bool {
	again, err := s.authorize(r.Context, needs)
	return err == nil && reflect.DeepEqual(again.key.Scope, r.key.Scope)
}

// streamEnded answers if the stream has not started. Otherwise the end of the stream is enough:
// a listener reconnects and continues after its last event.
func (s *Server) streamEnded(r *request, started *stream, err error) (answer, error) {
	if errors.Is(err, audit.ErrEnded) {
		err = domain.Wrap(err, domain.Unavailable, "events_unavailable", "the service is ending; try again")
	}
	if started == nil {
		return answer{}, err
	}
	s.Log.DebugContext(r, "a listener was disconnected", slog.String("request_id", requestID(r.Context)), slog.Any("err", err))
	return answer{done: true}, nil
}

// send writes an event, or for none its position only: an id without data changes the position
// from which a listener continues.
func (s stream) send(note audit.Notification, id string) error {
	line := "id: " + id + "\n"
	if note.Event == nil {
		line = ": nothing new\n" + line + "\n"
	}
	if _, err := s.Write(append([]byte(line), note.Event...)); err != nil {
		return err
	}
	return s.flush()
}
