package audit

import (
	"context"
	"slices"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// A Filter selects events of a workspace. The zero value selects all, oldest first.
type Filter struct {
	Types    []string  // such as integration.created; empty: any
	Actor    string    // the id of an API key; empty: any
	ID       domain.ID // of an integration; empty: any
	From, To time.Time // when it was recorded: From inclusive, To exclusive. Zero: any
	Newest   bool      // newest first

	Calls     bool               // calls instead of changes
	Approvals bool               // events of approvals instead of changes
	Endpoint  string             // of a call; empty: any
	Kind      domain.CallKind    // of a call; empty: any
	Outcome   domain.CallOutcome // of a call; empty: any
}

// reader returns what reads the events that f selects, in its order.
func (f Filter) reader(events *eventstore.Store) func(context.Context, eventstore.Selection, uint64, int) ([]eventstore.Commit, bool, error) {
	switch {
	case f.Calls && f.Newest:
		return events.CallPageBefore
	case f.Calls:
		return events.CallPage
	case f.Approvals && f.Newest:
		return events.ApprovalPageBefore
	case f.Approvals:
		return events.ApprovalPage
	case f.Newest:
		return events.PageBefore
	}
	return events.Page
}

// maxScanned is how many events a page scans before it ends, so that a filter with few
// matches takes bounded time.
const maxScanned = 20_000

// Feed returns up to limit of the events of a workspace that f selects and the scope of ctx
// shows, beyond a
// position in the order of f: after it, or before it when the newest come first.
// Position 0 is the start. It returns the start of the next page, 0 when there is none.
// A page may be short, or even empty, and still have a next one.
func (l Log) Feed(ctx context.Context, w domain.Workspace, f Filter, beyond uint64, limit int) (page []Entry, next uint64, err error) {
	of := eventstore.Selection{Workspace: w, ID: f.ID, Authorizations: !f.Calls}
	read, scope := f.reader(l.Events), domain.ScopeOf(ctx)
	if f.Calls && f.Newest && beyond == 0 && !f.To.IsZero() { // skips the calls after it
		if beyond, err = l.Events.FirstCallAt(ctx, of, f.To.Add(slack)); err != nil {
			return nil, 0, err
		}
	}
	for scanned := 0; scanned < maxScanned; {
		commits, more, err := read(ctx, of, beyond, 200)
		if err != nil {
			return nil, 0, err
		}
		for n, c := range commits {
			if f.passed(c) {
				return page, 0, nil
			}
			beyond = c.Position
			if e, visible := EntryOf(c).Seen(scope); visible && f.means(c) {
				page = append(page, e)
			}
			if len(page) == limit && (more || n < len(commits)-1) {
				return page, beyond, nil
			}
		}
		if !more || len(commits) == 0 {
			return page, 0, nil
		}
		scanned += len(commits)
	}
	return page, beyond, nil
}

// slack is how far the order of positions and the order of times may differ: longer
// than a command takes.
const slack = time.Minute

// passed reports whether c and everything beyond it is outside the times of f.
func (f Filter) passed(c eventstore.Commit) bool {
	if c.Meta.At.IsZero() {
		return false // the time of an unreadable event is unknown
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
	if f.Endpoint != "" || f.Kind != "" || f.Outcome != "" {
		call, ok := c.Event.(domain.IntegrationInvoked)
		if !ok || f.Endpoint != "" && call.Endpoint != f.Endpoint || f.Kind != "" && call.Kind != f.Kind || f.Outcome != "" && call.Outcome != f.Outcome {
			return false
		}
	}
	return len(f.Types) == 0 || c.Err == nil && slices.Contains(f.Types, domain.NameOf(c.Event))
}
