package authorizations

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
)

// An Answer is what is shown of an authorization.
type Answer struct {
	domain.Authorization

	Subject       string
	MissingScopes []string
	ExpiresAt     time.Time // of the access token; zero: unknown, or none
	Attempt       *Attempt  // the last one of the last day; nil: none
}

// Get returns the authorization of a subject. One that nobody has given is in the state
// none.
func (a *Authorizations) Get(ctx context.Context, u Use) (Answer, error) {
	return a.answer(ctx, u, a.key(u))
}

func (a *Authorizations) answer(ctx context.Context, u Use, k key) (Answer, error) {
	state, _, err := a.loadLatest(ctx, k)
	if err != nil {
		return Answer{}, err
	}
	if state.Incarnation != u.Integration.Incarnation {
		state = domain.Authorization{State: domain.NotAuthorized}
	}
	shown := Answer{Authorization: state, Subject: u.Subject, MissingScopes: []string{}}
	cause, usable := state.Usable(u.Integration)
	if state.State == domain.IsAuthorized && !usable {
		shown.State, shown.Lost = domain.ReauthorizationRequired, cause
	}
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
		shown.ExpiresAt = g.ExpiresAt
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

// maxScan bounds how many authorizations are read for one page of those in one state.
const maxScan = 1000

// List returns the authorizations of an integration after a cursor, in the order of the
// hashes of their subjects, and the cursor of the next page, "" at the end. In a state it
// reads at most 1,000 for one page, which may then have fewer than limit.
//
// The stream itself is read, so the cost grows with the number of subjects.
func (a *Authorizations) List(ctx context.Context, u Use, state domain.AuthorizationState, after string, limit int) ([]Answer, string, error) {
	i := u.Integration
	prefix := subjectPrefix + string(i.Workspace) + "." + string(i.ID) + "."
	within, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	info, err := a.stream.Info(within, jetstream.WithSubjectFilter(prefix+"*"))
	if err != nil {
		return nil, "", unavailable(err, "list authorizations")
	}
	hashes := make([]string, 0, len(info.State.Subjects))
	for subject := range info.State.Subjects {
		if hash := strings.TrimPrefix(subject, prefix); hash > after {
			hashes = append(hashes, hash)
		}
	}
	slices.Sort(hashes)
	all := []Answer{}
	for n, hash := range hashes {
		if n == maxScan || len(all) == min(limit, MaxPage) {
			return all, hashes[n-1], nil
		}
		k := key{i.Workspace, i.ID, hash}
		subject, err := a.Vault.Open(ctx, i.Owner(), subjectRef(k))
		if domain.KindOf(err) == domain.Invalid { // erased, or of an integration that was deleted
			continue
		}
		if err != nil {
			return nil, "", err
		}
		u.Subject = subject.Reveal()
		one, err := a.answer(ctx, u, k)
		if err != nil {
			return nil, "", err
		}
		if state == "" || one.State == state {
			all = append(all, one)
		}
	}
	return all, "", nil
}
