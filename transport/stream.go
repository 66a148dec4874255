package transport

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/domain"
)

// stream is an answer that is written as it comes. A caller who takes nothing
// of what is written for a while is cut off. How long nothing is written doesn't
// count: each write has its own time, from its beginning.
type stream struct {
	http.ResponseWriter
	control *http.ResponseController
	within  time.Duration
}

// takeWithin is how long a caller may take nothing, unless told otherwise.
const takeWithin = 10 * time.Second

func (s *Server) newStream(r *request, media string) stream {
	r.Header("Content-Type", media)
	r.Header("Cache-Control", "no-store")
	r.Header("X-Accel-Buffering", "no") // a proxy in between hands it on as it comes
	r.Status(http.StatusOK)
	return stream{r.Writer, http.NewResponseController(r.Writer), cmp.Or(s.TakeWithin, takeWithin)}
}

// extend gives a write its time. A connection without deadlines has none to
// move.
func (s stream) extend() { _ = s.control.SetWriteDeadline(time.Now().Add(s.within)) } //nolint:forbidigo // a deadline of the network

// Write writes, and sends when much was written.
func (s stream) Write(p []byte) (int, error) {
	s.extend()
	return s.ResponseWriter.Write(p)
}

// flush sends what was written.
func (s stream) flush() error {
	s.extend()
	return s.control.Flush()
}

// breakOff ends an answer that was begun and can't be finished.
func (s *Server) breakOff(r *request, err error) {
	s.Log.WarnContext(r, "an answer was broken off", slog.String("request_id", requestID(r.Context)), slog.Any("err", err))
	panic(http.ErrAbortHandler)
}

// EncodeEvent returns an event as server-sent events tell it (HTML Standard,
// 9.2), without the line of its id.
func EncodeEvent(e audit.Entry) []byte {
	data, err := json.Marshal(showEvent(e))
	if err != nil {
		return nil // plain data; this can't happen
	}
	var b bytes.Buffer
	b.WriteString("event: " + e.Type + "\ndata: ")
	b.Write(data)
	b.WriteString("\n\n")
	return b.Bytes()
}

// recheckEvery is how often it is found out whether the key of a listener has
// expired. That it was revoked is known at once.
const recheckEvery = time.Second

// streamEvents tells what happens in the workspace, from the moment it is asked
// or from the position that Last-Event-ID names.
func (s *Server) streamEvents(r *request) (answer, error) {
	var after *uint64
	if last := r.GetHeader("Last-Event-ID"); last != "" {
		position, err := s.Live.Log.Events.Lineage().Parse(last)
		if refusal, ok := errors.AsType[*domain.Error](err); ok && refusal.Code == "position_invalid" {
			return answer{}, domain.Errorf(domain.Invalid, "last_event_id_invalid", "Last-Event-ID must be the id of an event of this stream")
		}
		if err != nil {
			return answer{}, err
		}
		after = &position
	}
	var out *stream
	known, checked := s.Keys.Changes(), s.Now()
	for told, err := range s.Live.Listen(r, r.workspace, after) {
		if err != nil {
			return s.streamEnded(r, out, err)
		}
		if out == nil {
			out = new(s.newStream(r, "text/event-stream"))
		}
		if changes, now := s.Keys.Changes(), s.Now(); changes != known || now.Sub(checked) >= recheckEvery {
			if _, err := s.authorize(r.Context, access.View); err != nil { // the key is gone or has expired
				return answer{said: true}, nil
			}
			known, checked = changes, now
		}
		if out.tell(told, s.Live.Log.Events.Lineage().Name(told.Position)) != nil {
			break
		}
	}
	return answer{said: true}, nil
}

// streamEnded answers when there was no answer yet. Else the end of the stream
// says it all: a listener connects again and goes on from its last event.
func (s *Server) streamEnded(r *request, begun *stream, err error) (answer, error) {
	if errors.Is(err, audit.ErrEnded) {
		err = domain.Because(err, domain.Unavailable, "events_unavailable", "the service is ending; try again")
	}
	if begun == nil {
		return answer{}, err
	}
	s.Log.DebugContext(r, "a listener was let go", slog.String("request_id", requestID(r.Context)), slog.Any("err", err))
	return answer{said: true}, nil
}

// tell writes an event, or that there was none up to a position: an id without
// data moves the place where a listener goes on.
func (s stream) tell(told audit.Told, id string) error {
	line := "id: " + id + "\n"
	if told.Event == nil {
		line = ": nothing new\n" + line + "\n"
	}
	if _, err := s.Write(append([]byte(line), told.Event...)); err != nil {
		return err
	}
	return s.flush()
}
