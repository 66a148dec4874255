package audit

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// History returns up to limit events of an integration, with the changes that the scope of ctx
// shows, after a position, oldest first,
// and whether there are more. A deleted integration still has a history; one that never
// existed is NotFound.
func (l Log) History(ctx context.Context, w domain.Workspace, id domain.ID, after uint64, limit int) ([]Entry, bool, error) {
	if _, ok := domain.Builtin(w, id, l.Builtins); ok {
		return nil, false, nil
	}
	before, err := l.stateAt(ctx, w, id, after)
	if err != nil {
		return nil, false, err
	}
	commits, more, err := l.Events.Page(ctx, eventstore.Selection{Workspace: w, ID: id, Authorizations: true}, after, limit)
	if err != nil {
		return nil, false, err
	}
	if len(commits) == 0 && after == 0 {
		return nil, false, domain.NoSuchIntegration()
	}
	entries, scope := make([]Entry, len(commits)), domain.ScopeOf(ctx)
	for n, c := range commits {
		entries[n] = EntryOf(c)
		if c.Err != nil || c.Key != "" {
			continue
		}
		state := domain.Evolve(before, c.Event)
		if state.Version > before.Version+1 {
			entries[n].Unread = "what changed can't be shown: the event before it is no longer in the log"
		} else if !state.Deleted {
			was, _ := scope.View(before)
			is, _ := scope.View(state)
			entries[n].Changes = domain.Changes(was.Configuration, is.Configuration)
		}
		before = state
	}
	return entries, more, nil
}

// stateAt returns the integration as it was at a position of its own history.
func (l Log) stateAt(ctx context.Context, w domain.Workspace, id domain.ID, at uint64) (domain.Integration, error) {
	if at == 0 {
		return domain.Integration{}, nil
	}
	there, _, err := l.Events.Page(ctx, eventstore.Selection{Workspace: w, ID: id, Authorizations: true}, at-1, 1)
	if err != nil {
		return domain.Integration{}, err
	}
	if len(there) == 0 || there[0].Position != at {
		return domain.Integration{}, domain.Refuse("/continuation_token", "token_mismatch", "is not a token of this history")
	}
	c := there[0]
	if c.Key != "" { // it changed an authorization, and the integration is as before
		if c, err = l.Events.Before(ctx, w, id, at); err != nil {
			return domain.Integration{}, err
		}
	}
	state := domain.Evolve(domain.Integration{}, c.Event)
	if c.Err == nil {
		return state, nil
	}
	err = l.each(ctx, w, id, func(c eventstore.Commit) bool { // the state stays as before an unreadable event
		if c.Position < at && c.Err == nil {
			state = domain.Evolve(state, c.Event)
		}
		return c.Position < at
	})
	return state, err
}
