// Package audit reads the history of integrations from the event log, and notifies
// listeners of new events. The event log is the audit trail; nothing else is stored.
//
// It returns exactly what was recorded, in order, and never a secret.
package audit

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// Log reads the history of integrations.
type Log struct {
	Events   *eventstore.Store
	Builtins domain.BuiltinSettings
}

// An Entry is one event in a form for people.
type Entry struct {
	Position  uint64
	ID        domain.ID
	Name      string
	Version   uint64
	Type      string // such as integration.updated
	At        time.Time
	Actor     string
	Address   string
	RequestID string

	TraceParent string          // W3C trace context; empty: none
	Changed     []string        // JSON pointers into the configuration
	Changes     []domain.Change // the old and new values; only in the history of one integration
	Reason      string          // of a deletion
	Unread      string          // why the event is unreadable, "" when it is readable

	Call          *domain.IntegrationInvoked   // nil: it is not a call
	Authorization *domain.AuthorizationChanged // nil: it is about the integration
	Approval      *domain.Approval             // after the event; nil: it is not about one
	Probed        *domain.IntegrationProbed    // nil: it is not the result of a probe

	event domain.Event
}

// EntryOf returns the entry of an event without its changes.
func EntryOf(c eventstore.Commit) Entry {
	e := Entry{
		Position: c.Position, ID: c.ID, At: c.Meta.At, Actor: c.Meta.Actor, Address: c.Meta.Address, RequestID: c.Meta.RequestID,
		TraceParent: c.Meta.TraceParent,
	}
	if c.Err != nil {
		e.Unread = "this event can't be read by this version of the service"
		return e
	}
	state := domain.Evolve(domain.Integration{}, c.Event)
	e.event = c.Event
	e.Name, e.Version, e.Type = state.Name, state.Version, domain.NameOf(c.Event)
	switch is := c.Event.(type) {
	case domain.IntegrationUpdated:
		e.Changed = is.Changed
	case domain.IntegrationDeleted:
		e.Reason = is.Reason
	case domain.IntegrationInvoked:
		e.Name, e.Version, e.Call = is.Name, is.Version, &is
	case domain.AuthorizationChanged:
		e.Name, e.Version, e.Authorization = is.State.Name, is.State.Version, &is
	case domain.CallRequested, domain.CallApproved, domain.CallDenied, domain.CallExpired, domain.CallStarted, domain.CallMade, domain.CallCancelled, domain.CallLost:
		p, _ := domain.ApprovalOf(is)
		e.Name, e.Version, e.Approval, e.Reason = p.Name, p.ConfigVersion, &p, p.Reason
	case domain.IntegrationProbed:
		e.Probed = &is
	case domain.IntegrationCreated:
	}
	return e
}

// Seen returns the entry as a scope shows it, and whether it is visible. Where endpoints are
// narrowed, changes of endpoints are one change: which ones changed is not shown.
func (e Entry) Seen(s domain.Scope) (Entry, bool) {
	if !s.SeesEvent(e.event) {
		return Entry{}, false
	}
	if s.NarrowsEndpoints() {
		changed := []string{}
		for _, pointer := range e.Changed {
			if strings.HasPrefix(pointer, "/endpoints/") {
				pointer = "/endpoints"
			}
			if !slices.Contains(changed, pointer) {
				changed = append(changed, pointer)
			}
		}
		e.Changed = changed
	}
	return e, true
}

// Known refuses with NotFound an integration that never existed. A deleted one is known.
func (l Log) Known(ctx context.Context, w domain.Workspace, id domain.ID) error {
	if _, ok := domain.Builtin(w, id, l.Builtins); ok {
		return nil
	}
	commits, _, err := l.Events.Page(ctx, eventstore.Selection{Workspace: w, ID: id}, 0, 1)
	if err == nil && len(commits) == 0 {
		err = domain.NoSuchIntegration()
	}
	return err
}

// each calls visit for every event of an integration, oldest first, until it
// returns false.
func (l Log) each(ctx context.Context, w domain.Workspace, id domain.ID, visit func(eventstore.Commit) bool) error {
	for after, more := uint64(0), true; more; {
		var commits []eventstore.Commit
		var err error
		if commits, more, err = l.Events.Page(ctx, eventstore.Selection{Workspace: w, ID: id}, after, 200); err != nil {
			return err
		}
		for _, c := range commits {
			if !visit(c) {
				return nil
			}
			after = c.Position
		}
	}
	return nil
}
