package authorizations

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
)

// record is one event as it is stored, with the state after it. Event names are for ever.
type record struct {
	Type  string               `json:"type"`
	Event json.RawMessage      `json:"event"`
	State domain.Authorization `json:"state"`
}

func eventType(e domain.AuthorizationEvent) string {
	switch e.(type) {
	case domain.ClientRegistered:
		return "client_registered"
	case domain.AuthorizationStarted:
		return "authorization_started"
	case domain.Authorized:
		return "authorized"
	case domain.AuthorizationRestored:
		return "authorization_restored"
	case domain.AuthorizationLost:
		return "authorization_lost"
	case domain.AuthorizationRevoked:
		return "authorization_revoked"
	}
	return ""
}

// load returns an authorization as a replica has it.
func (a *Authorizations) load(ctx context.Context, k key) (domain.Authorization, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	msg, err := a.stream.GetLastMsgForSubject(ctx, subjectPrefix+k.String())
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return domain.Authorization{State: domain.NotAuthorized}, nil
	case err != nil:
		return domain.Authorization{}, unavailable(err, "read authorization")
	}
	return stateOf(msg.Data)
}

// loadLatest returns an authorization as the leader has it, and its position.
func (a *Authorizations) loadLatest(ctx context.Context, k key) (domain.Authorization, uint64, error) {
	msg, err := streams.LastFromLeader(ctx, a.js.Conn(), streamName, subjectPrefix+k.String())
	switch {
	case err != nil:
		return domain.Authorization{}, 0, unavailable(err, "read authorization")
	case msg == nil:
		return domain.Authorization{State: domain.NotAuthorized}, 0, nil
	}
	state, err := stateOf(msg.Data)
	return state, msg.Sequence, err
}

func stateOf(data []byte) (domain.Authorization, error) {
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return domain.Authorization{}, fmt.Errorf("read authorization: %w", err)
	}
	return r.State, nil
}

// attemptsToChange is how often a change is decided when it conflicts with others.
const attemptsToChange = 8

// change appends what decide makes of an authorization, and decides again after a conflict.
// It returns the states before and after.
func (a *Authorizations) change(ctx context.Context, k key, decide func(domain.Authorization) (domain.AuthorizationEvent, error)) (before, after domain.Authorization, err error) {
	for range attemptsToChange {
		state, position, err := a.loadLatest(ctx, k)
		if err != nil {
			return state, state, err
		}
		e, err := decide(state)
		if err != nil || e == nil {
			return state, state, err
		}
		next := domain.EvolveAuthorization(state, e)
		err = a.append(ctx, k, e, next, position)
		if err == nil || !streams.IsConflict(err) {
			return state, next, err
		}
	}
	return before, after, domain.Errorf(domain.Conflict, "changing_too_fast", "the authorization is being changed too often; try again")
}

func (a *Authorizations) append(ctx context.Context, k key, e domain.AuthorizationEvent, next domain.Authorization, after uint64) error {
	event, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("append authorization: %w", err)
	}
	kind := eventType(e)
	data, err := json.Marshal(record{Type: kind, Event: event, State: next})
	if err != nil {
		return fmt.Errorf("append authorization: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	msg := &nats.Msg{Subject: subjectPrefix + k.String(), Data: data, Header: nats.Header{
		"ce-specversion": {"1.0"}, "ce-id": {a.NewID()}, "ce-source": {"/integrations"}, "ce-type": {"integration." + kind}, "ce-subject": {k.String()},
		"ce-time": {a.Now().UTC().Format("2006-01-02T15:04:05.000000Z07:00")}, "content-type": {"application/json"},
	}}
	_, err = a.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(after))
	if err != nil && !streams.IsConflict(err) {
		return unavailable(err, "append authorization")
	}
	return err
}
