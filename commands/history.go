package commands

import (
	"context"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// An Entry is one event of an integration's history, told for a person.
type Entry struct {
	Position  uint64
	Version   uint64
	Type      string // such as integration.updated
	At        time.Time
	Actor     string
	Address   string
	RequestID string
	Changes   []domain.Change
	Reason    string // of a deletion
	Unread    string // why the event can't be read, "" when it can
}

// History returns up to limit events of an integration after a position, oldest
// first, and whether there are more. A deleted integration still has its
// history; one that never was is NotFound.
func (s *Service) History(ctx context.Context, w domain.Workspace, id domain.ID, after uint64, limit int) ([]Entry, bool, error) {
	if _, ok := domain.Builtin(w, id, s.Builtins); ok {
		return nil, false, nil
	}
	before, err := s.stateAt(ctx, w, id, after)
	if err != nil {
		return nil, false, err
	}
	var entries []Entry
	for len(entries) < limit {
		c, err := s.Events.Next(ctx, w, id, after)
		if err != nil {
			return nil, false, err
		}
		if c.Position == 0 {
			break
		}
		e := Entry{Position: c.Position, At: c.Meta.At, Actor: c.Meta.Actor, Address: c.Meta.Address, RequestID: c.Meta.RequestID}
		if c.Err != nil {
			e.Unread = "this event can't be read by this version of the service"
		} else {
			state := domain.Evolve(before, c.Event)
			e.Version, e.Type = state.Version, domain.NameOf(c.Event)
			if deleted, ok := c.Event.(domain.IntegrationDeleted); ok {
				e.Reason = deleted.Reason
			} else {
				e.Changes = domain.Changes(before.Configuration, state.Configuration)
			}
			before = state
		}
		entries = append(entries, e)
		after = c.Position
	}
	if len(entries) == 0 && after == 0 {
		return nil, false, domain.NoSuchIntegration()
	}
	more, err := s.Events.Next(ctx, w, id, after)
	return entries, more.Position != 0, err
}

// stateAt returns the integration as it was at a position of its own history.
func (s *Service) stateAt(ctx context.Context, w domain.Workspace, id domain.ID, at uint64) (domain.Integration, error) {
	if at == 0 {
		return domain.Integration{}, nil
	}
	c, err := s.Events.Next(ctx, w, id, at-1)
	if err != nil {
		return domain.Integration{}, err
	}
	if c.Position != at {
		return domain.Integration{}, domain.Refuse("/continuation_token", "token_mismatch", "does not belong to this history")
	}
	return domain.Evolve(domain.Integration{}, c.Event), nil
}
