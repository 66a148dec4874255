package audit

import (
	"context"
	"iter"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// Listen yields the events of a workspace after a position, first recorded ones and then
// live ones, without gaps or duplicates, until ctx ends. Without a position it starts with
// new events, and first yields the position of the start. An error ends it: ErrSlow,
// ErrEnded, Invalid for a position that the log does not have, or Unavailable.
func (l *Live) Listen(ctx context.Context, w domain.Workspace, after *uint64) iter.Seq2[Notification, error] {
	return func(yield func(Notification, error) bool) {
		var last uint64
		if after != nil {
			if err := l.Check(ctx, *after); err != nil {
				yield(Notification{}, err)
				return
			}
			var ok bool
			if last, ok = l.recorded(ctx, w, *after, 0, yield); !ok {
				return
			}
		}
		one, from, err := l.join(w)
		if err != nil {
			yield(Notification{}, err)
			return
		}
		defer l.leave(one)
		if after != nil {
			var ok bool
			if last, ok = l.recorded(ctx, w, last, from, yield); !ok {
				return
			}
		}
		one.from = max(last, from) // the recorded events may be ahead of the live ones
		if yield(Notification{Position: one.from}, nil) {
			l.follow(ctx, one, yield)
		}
	}
}

// lookedTwice is how long a position beyond the end of a replicated log is held, until it is
// looked at again: for a moment after it stood still, a server can answer as the leader that
// it was.
const lookedTwice = time.Second

// Check refuses a position beyond the end of the log. It is of another log, and a listener
// that continued from there would get nothing until this log reached it.
func (l *Live) Check(ctx context.Context, after uint64) error {
	if after <= l.position() {
		return nil
	}
	head, err := l.head(ctx)
	if err == nil && after > head && l.Log.Events.Replicated() {
		select {
		case <-time.After(lookedTwice):
			head, err = l.head(ctx)
		case <-ctx.Done():
			return domain.Wrap(ctx.Err(), domain.Unavailable, "event_log_unavailable", "it could not be confirmed where the event log ends; try again")
		}
	}
	if err == nil && after > head {
		err = domain.Errorf(domain.Invalid, "position_unknown", "the log ends at position %d, so %d is of another log; start again without a position", head, after)
	}
	return err
}

// recorded yields the recorded events after a position, up to another one; 0 means the end.
// It returns the position it reached, and whether to continue.
func (l *Live) recorded(ctx context.Context, w domain.Workspace, after, until uint64, yield func(Notification, error) bool) (uint64, bool) {
	for more := true; more && (until == 0 || after < until); {
		var commits []eventstore.Commit
		var err error
		if commits, more, err = l.page(ctx, w, after); err != nil {
			yield(Notification{}, err)
			return after, false
		}
		for _, c := range commits {
			if until > 0 && c.Position > until {
				return after, true
			}
			if !yield(l.notify(c), nil) {
				return after, false
			}
			after = c.Position
		}
	}
	return after, true
}

// follow yields the live events of a listener.
func (l *Live) follow(ctx context.Context, one *listener, yield func(Notification, error) bool) {
	every := l.Every
	if every <= 0 {
		every = 15 * time.Second
	}
	quiet := time.NewTicker(every)
	defer quiet.Stop()
	for {
		select {
		case note, open := <-one.events:
			switch {
			case !open && one.slow:
				yield(Notification{}, ErrSlow)
				return
			case !open:
				yield(Notification{}, ErrEnded)
				return
			case note.Position > one.from && !yield(note, nil):
				return
			}
		case <-quiet.C:
			if at, idle := l.idle(one); idle && !yield(Notification{Position: max(at, one.from)}, nil) {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}
