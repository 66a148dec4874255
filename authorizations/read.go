package authorizations

import (
	"context"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// An Answer is what is shown of an authorization.
type Answer struct {
	domain.Authorization
	domain.AuthorizationRef

	Subject       string // "": the workspace itself
	MissingScopes []string
	ExpiresAt     time.Time // of the access token; zero: unknown, or none
	Attempt       *Attempt  // the last one of the last day; nil: none

	Redirect string                     // the address that the authorization server must know
	Captured map[string]string          // values of the account, by the names of captures
	Choices  map[string][]domain.Choice // of captures that have several
	Hint     string                     // what probably has ended it. Empty: nothing is known
}

// Get returns the authorization of a subject, as the log has it. One that nobody has given
// is in the state none.
func (a *Authorizations) Get(ctx context.Context, u Use) (Answer, error) {
	k := a.key(u)
	state, _, err := a.loadLatest(ctx, k)
	if err != nil {
		return Answer{}, err
	}
	return a.answer(ctx, u, k, state)
}

// Show returns what is shown of an authorization of an integration that a list has. It is
// not ok when the name of the subject was erased.
func (a *Authorizations) Show(ctx context.Context, u Use, listed projections.Authorization) (answer Answer, ok bool, err error) {
	k := keyOf(listed.AuthorizationRef)
	subject, err := a.Vault.Open(ctx, u.Integration.Owner(), subjectRef(k))
	if domain.KindOf(err) == domain.Invalid { // erased, or of an integration that was deleted
		return Answer{}, false, nil
	}
	if err != nil {
		return Answer{}, false, err
	}
	u.Subject = subject.Reveal()
	answer, err = a.answer(ctx, u, k, listed.State)
	return answer, err == nil, err
}

// SubjectOf returns the text of the subject of an authorization, not ok when it was erased.
func (a *Authorizations) SubjectOf(ctx context.Context, ref domain.AuthorizationRef, incarnation uint64) (text string, ok bool, err error) {
	subject, err := a.Vault.Open(ctx, domain.Owner{Workspace: ref.Workspace, ID: ref.ID, Incarnation: incarnation}, subjectRef(keyOf(ref)))
	if domain.KindOf(err) == domain.Invalid {
		return "", false, nil
	}
	return subject.Reveal(), err == nil, err
}

func (a *Authorizations) answer(ctx context.Context, u Use, k key, state domain.Authorization) (Answer, error) {
	if state.Incarnation != u.Integration.Incarnation {
		state = domain.Authorization{State: domain.NotAuthorized}
	}
	shown := Answer{Authorization: state, AuthorizationRef: k.ref(), Subject: u.Subject, MissingScopes: []string{}}
	cause, usable := state.Usable(u.Integration)
	if state.State == domain.IsAuthorized && !usable {
		shown.State, shown.Lost = domain.ReauthorizationRequired, cause
	}
	var err error
	if state.State != domain.NotAuthorized {
		if shown.MissingScopes, err = a.missing(ctx, u, k, state); err != nil {
			return Answer{}, err
		}
	}
	if state.Grant.ID != "" {
		g, err := a.open(ctx, u.Integration.Owner(), state.Grant)
		if err != nil && domain.KindOf(err) != domain.Invalid {
			return Answer{}, err
		}
		shown.ExpiresAt, shown.Captured, shown.Choices = g.ExpiresAt, g.Captured, g.Choices
		shown.Hint = hint(state, u.Integration, g)
	}
	if shown.Redirect, err = a.redirectURL(u.Integration); err != nil {
		return Answer{}, err
	}
	t, _, ok, err := a.latestAttempt(ctx, k)
	if err != nil {
		return Answer{}, err
	}
	if ok && t.Incarnation == u.Integration.Incarnation {
		attempt := t.shown(a.Now())
		shown.Attempt = &attempt
	}
	return shown, nil
}

// MaxPage is how many authorizations a page has at most.
const MaxPage = 100
