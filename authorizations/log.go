package authorizations

import (
	"context"
	"errors"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/tracing"
)

// load returns an authorization as a replica has it.
func (a *Authorizations) load(ctx context.Context, k key) (domain.Authorization, error) {
	return stateOf(a.Events.LoadAuthorization(ctx, k.ref()))
}

// loadLatest returns an authorization as the leader has it, and its position.
func (a *Authorizations) loadLatest(ctx context.Context, k key) (domain.Authorization, uint64, error) {
	c, err := a.Events.LoadAuthorizationFromLeader(ctx, k.ref())
	state, err := stateOf(c, err)
	return state, c.Position, err
}

// stateOf returns the authorization that an event leads to.
func stateOf(c eventstore.Commit, err error) (domain.Authorization, error) {
	if changed, ok := c.Event.(domain.AuthorizationChanged); ok && err == nil {
		return changed.State, nil
	}
	return domain.Authorization{State: domain.NotAuthorized}, err
}

// attemptsToChange is how often a change is decided when it conflicts with others.
const attemptsToChange = 8

// A change is what became of a decision.
type change struct {
	before, after domain.Authorization
	position      uint64 // of the last event
}

// change appends what decide makes of an authorization, and decides again after a conflict.
// The actor is the id of an API key, or system.
func (a *Authorizations) change(ctx context.Context, k key, actor string, decide func(domain.Authorization) (domain.AuthorizationEvent, error)) (change, error) {
	if actor == "" {
		actor = systemActor
	}
	meta, _ := ctx.Value(callerKey{}).(domain.Metadata)
	if meta.CommandID = a.NewID(); meta.Actor != actor { // it is not what the caller has asked for
		meta = domain.Metadata{CommandID: meta.CommandID, Actor: actor}
	}
	for range attemptsToChange {
		state, position, err := a.loadLatest(ctx, k)
		if err != nil {
			return change{state, state, position}, err
		}
		e, err := decide(state)
		if err != nil || e == nil {
			return change{state, state, position}, err
		}
		next := domain.EvolveAuthorization(state, e)
		meta.At = a.Now()
		changed := domain.AuthorizationChanged{Workspace: k.workspace, ID: k.id, Key: k.hash, Change: e, State: next}
		appending, span := tracing.StartAppend(ctx, k.workspace, k.id, changed, &meta)
		position, err = a.Events.AppendAuthorization(appending, position, changed, meta)
		span.SetPosition(position)
		span.End(err)
		if !errors.Is(err, eventstore.ErrConflict) {
			return change{state, next, position}, err
		}
	}
	return change{}, domain.Errorf(domain.Conflict, "changing_too_fast", "the authorization is being changed too often; try again")
}

// systemActor is who changes an authorization when no API key does.
const systemActor = "system"
