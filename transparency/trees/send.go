package trees

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/streams"
	"github.com/seed677028b5/integrations/transparency"
)

// Sender sends checkpoints to where they are held, so that the key of this service alone can't
// rewrite what was signed. Of all processes that run one, one does.
type Sender struct {
	Events *eventstore.Store
	Trees  *Store
	To     []string      // paths of files, which grow, URLs, to which each is posted, or the places in Put
	Every  time.Duration // how often; a log that has not grown is left out
	Post   func(*http.Request) (*http.Response, error)
	Put    map[string]Put // by place
	Log    *slog.Logger
}

// A Put keeps a checkpoint under a name. It succeeds when it is there already, and fails when
// another one is.
type Put func(ctx context.Context, name, note string) error

const (
	sendLease   = "checkpoints"
	sendTimeout = 15 * time.Second
)

// Run sends until ctx ends. It returns nil then.
func (s *Sender) Run(ctx context.Context) error {
	if len(s.To) == 0 {
		return nil
	}
	return s.Events.Lead(ctx, sendLease, func(ctx context.Context) error {
		sent := map[string]string{} // the last note, by destination and log
		for ctx.Err() == nil {
			for _, log := range transparency.Logs() {
				s.once(ctx, log, sent)
			}
			streams.Wait(ctx, s.Every)
		}
		return nil
	})
}

// once sends the checkpoint of a log to each destination that does not have it.
func (s *Sender) once(ctx context.Context, log transparency.Log, sent map[string]string) {
	state, err := s.Trees.load(ctx, log)
	if err != nil {
		s.failed(ctx, log, err)
		return
	}
	if state.sequence == 0 || state.Edge.Size == 0 {
		return
	}
	for _, to := range s.To {
		key := to + " " + string(log)
		if sent[key] == state.Note {
			continue
		}
		if err := s.send(ctx, to, state.Note); err != nil {
			s.failed(ctx, log, err)
			continue
		}
		sent[key] = state.Note
	}
}

func (s *Sender) failed(ctx context.Context, log transparency.Log, err error) {
	if ctx.Err() == nil {
		s.Log.WarnContext(ctx, "a checkpoint was not sent; it is tried again", slog.String("log", string(log)), slog.Any("err", err))
	}
}

func (s *Sender) send(ctx context.Context, to, note string) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if put := s.Put[to]; put != nil {
		return put(ctx, nameOf(note), note)
	}
	if !IsURL(to) {
		return appendFile(to, note+"\n")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(note))
	if err != nil {
		return fmt.Errorf("send a checkpoint: %w", err)
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := s.Post(req)
	if err != nil {
		return fmt.Errorf("send a checkpoint: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing is read
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("send a checkpoint: the answer has status %d", resp.StatusCode)
	}
	return nil
}

// nameOf returns the name of a checkpoint: its origin, and its size with 20 digits.
func nameOf(note string) string {
	lines := strings.SplitN(note, "\n", 3)
	return lines[0] + "/" + strings.Repeat("0", max(0, 20-len(lines[1]))) + lines[1] + ".txt"
}

// IsURL reports whether a destination of checkpoints is a URL, and not the path of a file.
func IsURL(to string) bool {
	return strings.HasPrefix(to, "https://") || strings.HasPrefix(to, "http://")
}

// appendFile appends text to a file, and syncs it.
func appendFile(name, text string) (err error) {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644) //nolint:gosec // an operator names it, and checkpoints are no secret
	if err != nil {
		return err
	}
	defer func() {
		if failed := f.Close(); err == nil {
			err = failed
		}
	}()
	if _, err = f.WriteString(text); err == nil {
		err = f.Sync()
	}
	return err
}
