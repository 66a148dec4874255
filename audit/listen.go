package audit

import (
	"context"
	"iter"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// Listen yields the events of a workspace after a position, first those that
// were recorded and then live, with no gap and none twice, until ctx ends.
// Without a position it begins with the events to come, and says where that is.
// An error ends it: ErrSlow, ErrEnded, of kind Invalid for a position that the
// log does not have yet, or of kind Unavailable.
func (l *Live) Listen(ctx context.Context, w domain.Workspace, after *uint64) iter.Seq2[Told, error] {
	return func(yield func(Told, error) bool) {
		var told uint64
		if after != nil {
			if err := l.check(ctx, *after); err != nil {
				yield(Told{}, err)
				return
			}
			var ok bool
			if told, ok = l.recall(ctx, w, *after, 0, yield); !ok {
				return
			}
		}
		one, from, err := l.join(w)
		if err != nil {
			yield(Told{}, err)
			return
		}
		defer l.leave(one)
		if after != nil {
			var ok bool
			if told, ok = l.recall(ctx, w, told, from, yield); !ok {
				return
			}
		}
		one.from = max(told, from) // what was recalled may be ahead of what is told live
		if yield(Told{Position: one.from}, nil) {
			l.follow(ctx, one, yield)
		}
	}
}

// check refuses a position beyond the end of the log: it is of another one, and
// whoever went on from there would be told nothing until this one has come so far.
func (l *Live) check(ctx context.Context, after uint64) error {
	if after <= l.position() {
		return nil
	}
	head, err := l.Log.Events.Head(ctx)
	if err == nil && after > head {
		err = domain.Errorf(domain.Invalid, "position_unknown", "the log ends at position %d, so %d is of another log; begin anew", head, after)
	}
	return err
}

// recall yields what was recorded after a position, up to another one; 0 is the
// end. It returns where it came to, and whether to go on.
func (l *Live) recall(ctx context.Context, w domain.Workspace, after, until uint64, yield func(Told, error) bool) (uint64, bool) {
	for more := true; more && (until == 0 || after < until); {
		var commits []eventstore.Commit
		var err error
		if commits, more, err = l.Log.Events.Page(ctx, eventstore.Selection{Workspace: w}, after, 200); err != nil {
			yield(Told{}, err)
			return after, false
		}
		for _, c := range commits {
			if until > 0 && c.Position > until {
				return after, true
			}
			if !yield(Told{Position: c.Position, Event: l.Encode(EntryOf(c))}, nil) {
				return after, false
			}
			after = c.Position
		}
	}
	return after, true
}

// follow yields what one is told.
func (l *Live) follow(ctx context.Context, one *listener, yield func(Told, error) bool) {
	every := l.Every
	if every <= 0 {
		every = 15 * time.Second
	}
	quiet := time.NewTicker(every)
	defer quiet.Stop()
	for {
		select {
		case told, open := <-one.told:
			switch {
			case !open && one.slow:
				yield(Told{}, ErrSlow)
				return
			case !open:
				yield(Told{}, ErrEnded)
				return
			case told.Position > one.from && !yield(told, nil):
				return
			}
		case <-quiet.C:
			if at, idle := l.idle(one); idle && !yield(Told{Position: max(at, one.from)}, nil) {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}
