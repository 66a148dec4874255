package audit

import (
	"context"
	"slices"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// A Filter says which events of a workspace are meant. Its zero value means all,
// oldest first.
type Filter struct {
	Types    []string  // such as integration.created; empty: any
	Actor    string    // the id of an API key; empty: any
	ID       domain.ID // of an integration; empty: any
	From, To time.Time // when it was recorded: not before From, before To. Zero: any
	Newest   bool      // newest first
}

// most is how many events a page looks at before it ends, so that a filter that
// matches little takes bounded time.
const most = 20_000

// Feed returns up to limit of the events of a workspace that f means, beyond a
// position in the order of f: after it, or before it when the newest come
// first. Position 0 is where the order begins. It returns where the next page
// begins, 0 when there is none. A page may be short, or empty, and have a next.
func (l Log) Feed(ctx context.Context, w domain.Workspace, f Filter, beyond uint64, limit int) (page []Entry, next uint64, err error) {
	of := eventstore.Selection{Workspace: w, ID: f.ID}
	read := l.Events.Page
	if f.Newest {
		read = l.Events.PageBefore
	}
	for looked := 0; looked < most; {
		commits, more, err := read(ctx, of, beyond, 200)
		if err != nil {
			return nil, 0, err
		}
		for n, c := range commits {
			if f.passed(c) {
				return page, 0, nil
			}
			beyond = c.Position
			if f.means(c) {
				page = append(page, EntryOf(c))
			}
			if len(page) == limit && (more || n < len(commits)-1) {
				return page, beyond, nil
			}
		}
		if !more || len(commits) == 0 {
			return page, 0, nil
		}
		looked += len(commits)
	}
	return page, beyond, nil
}

// slack is how far apart the order of the log and the order of times may be:
// longer than a command takes.
const slack = time.Minute

// passed reports whether c and everything beyond it is out of the time that f
// means.
func (f Filter) passed(c eventstore.Commit) bool {
	if c.Meta.At.IsZero() {
		return false // it can't be read when it was recorded; that says nothing of the others
	}
	if f.Newest {
		return !f.From.IsZero() && c.Meta.At.Before(f.From.Add(-slack))
	}
	return !f.To.IsZero() && c.Meta.At.After(f.To.Add(slack))
}

func (f Filter) means(c eventstore.Commit) bool {
	switch {
	case f.Actor != "" && c.Meta.Actor != f.Actor,
		!f.From.IsZero() && c.Meta.At.Before(f.From),
		!f.To.IsZero() && !c.Meta.At.Before(f.To):
		return false
	}
	return len(f.Types) == 0 || c.Err == nil && slices.Contains(f.Types, domain.NameOf(c.Event))
}
