package authorizations

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/streams"
	"github.com/seed677028b5/integrations/vault"
)

const (
	maxRefresh   = 2 * time.Minute  // for a refresh with all its waiting
	pauseBusy    = 10 * time.Second // after a request that failed for now
	maxPause     = 5 * time.Minute
	maxFailures  = 10               // refusals in a row that name no end,
	failingFor   = 10 * time.Minute // and for how long, until a person is asked
	leasePolling = 50 * time.Millisecond
)

// Required returns the error of a call that only a person's consent makes possible.
func Required(cause domain.LossCause) error {
	sentence := map[domain.LossCause]string{
		"":                      "nobody has signed in to this integration yet",
		domain.LossRefused:      "the authorization server has ended what was permitted; sign in again",
		domain.LossAnswerLost:   "the answer to a renewal was lost, so what was permitted can't be renewed; sign in again",
		domain.LossUnclassified: "the authorization server keeps refusing to renew what was permitted, without a known reason; sign in again",
		domain.LossNoRefresh:    "what was permitted has expired, and can't be renewed; sign in again",
		domain.LossTokenRefused: "the upstream refuses what was permitted; sign in again",
		domain.LossChanged:      "the integration has changed to what nobody has permitted; sign in again",
	}[cause]
	return domain.Errorf(domain.Conflict, domain.AuthorizationRequiredCode, "%s", sentence)
}

// Token returns the access token of a subject for a call, which ref asks for (see
// domain.AccessTokenRef). While an old token lasts, calls go on with it and another one is
// fetched in the background. It refuses with the code authorization_required when only a
// person can help, and with Unavailable when the authorization server doesn't answer.
func (a *Authorizations) Token(ctx context.Context, u Use, ref domain.SecretRef) (domain.Secret, error) {
	k := a.key(u)
	state, err := a.usable(ctx, u, k)
	if err != nil {
		return domain.Secret{}, err
	}
	g, err := a.open(ctx, u.Integration.Owner(), state.Grant)
	if err != nil {
		return domain.Secret{}, err
	}
	good, aging := g.current(a.Now())
	switch refused := ref.Refused(g.Access); {
	case good && !refused && aging && g.Refresh != "" && !a.Now().Before(g.PauseUntil):
		a.flights.begin(k.String(), func() result { return a.refresh(u, k, state.Grant, g.Access) })
		return domain.NewSecret(g.Access), nil
	case good && !refused:
		return domain.NewSecret(g.Access), nil
	case g.Refresh == "" && refused:
		return domain.Secret{}, a.lose(ctx, k, state.Grant, domain.LossTokenRefused, "")
	case g.Refresh == "":
		return domain.Secret{}, a.lose(ctx, k, state.Grant, domain.LossNoRefresh, "")
	}
	got, err := a.flights.wait(ctx, k.String(), func() result { return a.refresh(u, k, state.Grant, g.Access) })
	if err == nil && ref.Refused(got) { // it came with a refresh that was under way before the refusal
		got, err = a.flights.wait(ctx, k.String(), func() result { return a.refresh(u, k, state.Grant, got) })
	}
	if err != nil {
		return domain.Secret{}, err
	}
	return domain.NewSecret(got), nil
}

// usable returns an authorization that calls may use. A replica may not have the latest
// consent yet, so the leader is asked before a refusal.
func (a *Authorizations) usable(ctx context.Context, u Use, k key) (domain.Authorization, error) {
	state, err := a.load(ctx, k)
	if err != nil {
		return state, err
	}
	if _, ok := state.Usable(u.Integration); ok {
		return state, nil
	}
	if state, _, err = a.loadLatest(ctx, k); err != nil {
		return state, err
	}
	if cause, ok := state.Usable(u.Integration); !ok {
		return state, Required(cause)
	}
	return state, nil
}

// lose records a loss of the tokens that grant names, and returns the error of a call.
// Tokens that another consent has given meanwhile are not lost.
func (a *Authorizations) lose(ctx context.Context, k key, grant domain.SecretRef, cause domain.LossCause, code string) error {
	_, after, err := a.change(ctx, k, func(state domain.Authorization) (domain.AuthorizationEvent, error) {
		if state.Grant.ID != grant.ID {
			return nil, nil
		}
		return state.Lose(cause, code, a.Now()), nil
	})
	if err != nil {
		return err
	}
	if after.Grant.ID != grant.ID {
		return domain.Errorf(domain.Unavailable, "authorization_replaced", "the authorization was replaced just now; try again")
	}
	a.Log.WarnContext(ctx, "an authorization was lost", slog.String("integration_id", string(k.id)), slog.String("authorization", k.hash), slog.String("cause", string(cause)))
	return Required(cause)
}

// result is what a refresh led to.
type result struct {
	access string
	err    error
}

// refresh replaces the access token old. It takes the lease first, so that of all processes
// one presents the refresh token; the others wait for what that one gets. It goes on when
// its caller leaves: what was sent must be answered for.
func (a *Authorizations) refresh(u Use, k key, ref domain.SecretRef, old string) result {
	ctx, cancel := context.WithTimeout(context.Background(), maxRefresh)
	defer cancel()
	holder := a.NewID()
	for ctx.Err() == nil {
		g, revision, err := a.openLatest(ctx, u.Integration.Owner(), ref)
		switch now := a.Now(); {
		case err != nil:
			return result{err: a.unreadable(ctx, u, k, ref, err)}
		case g.Access != old:
			return result{access: g.Access}
		case now.Before(g.PauseUntil):
			return result{err: domain.Errorf(domain.Unavailable, "token_endpoint_unavailable", "the token endpoint failed just now; it is asked again soon")}
		case now.Before(g.LeaseUntil):
			streams.Wait(ctx, leasePolling)
			continue
		}
		inherited := g.LeaseHolder != "" // from a process that died with it, and may have sent the token
		g.Ambiguous = g.Ambiguous || inherited
		if g.Presented.IsZero() {
			g.Presented = a.Now()
		}
		g.LeaseHolder, g.LeaseUntil = holder, a.Now().Add(leaseTime)
		revision, err = a.replace(ctx, u.Integration.Owner(), ref, g, revision)
		if errors.Is(err, vault.ErrReplaced) {
			continue
		}
		if err != nil {
			return result{err: err}
		}
		return a.present(ctx, u, k, ref, g, revision)
	}
	return result{err: domain.Errorf(domain.Unavailable, "token_endpoint_unavailable", "the token was not renewed in time; try again")}
}

// unreadable returns the error of a grant that can't be opened: another consent may have
// replaced it.
func (a *Authorizations) unreadable(ctx context.Context, u Use, k key, ref domain.SecretRef, err error) error {
	if domain.KindOf(err) != domain.Invalid {
		return err
	}
	state, stateErr := a.usable(ctx, u, k)
	switch {
	case stateErr != nil:
		return stateErr
	case state.Grant.ID != ref.ID:
		return domain.Errorf(domain.Unavailable, "authorization_replaced", "the authorization was replaced just now; try again")
	}
	return err
}

// present sends the refresh token of a grant whose lease this process holds, and once more
// when the answer was lost: within seconds a server that has processed it answers the same.
func (a *Authorizations) present(ctx context.Context, u Use, k key, ref domain.SecretRef, g grant, revision uint64) result {
	earlier := g.Ambiguous
	release := a.extend(ctx, u, ref, g.LeaseHolder)
	answer := a.ask(ctx, u, g)
	if answer.Outcome == domain.TokenAnswerLost {
		earlier = true
		answer = a.ask(ctx, u, g)
	}
	release()
	now := a.Now()
	next := g
	next.LeaseHolder, next.LeaseUntil = "", time.Time{}
	var failure error
	switch {
	case answer.Outcome == domain.TokenGranted:
		next = g.take(answer, time.Duration(u.Integration.Auth.DefaultTTLSeconds)*time.Second, now)
	case answer.Ends():
		return a.ended(ctx, u, k, ref, g, answer, earlier)
	case answer.Outcome == domain.TokenRefused:
		if next.Failures++; next.FailingFrom.IsZero() {
			next.FailingFrom = now
		}
		next.PauseUntil = now.Add(pauseBusy)
		if !earlier { // a refusal has not spent it
			next.Presented = time.Time{}
		}
		failure = domain.Errorf(domain.Conflict, "token_refused", "%s", strings.TrimRight(answer.Sentence, "."))
		if next.Failures >= maxFailures && now.Sub(next.FailingFrom) >= failingFor {
			failure = a.lose(ctx, k, ref, domain.LossUnclassified, answer.Code)
		}
	default: // not sent, busy, or lost twice
		next.PauseUntil = now.Add(min(max(answer.RetryAfter, pauseBusy), maxPause))
		next.Ambiguous = earlier
		if answer.Outcome == domain.TokenNotSent && !earlier {
			next.Presented, next.PauseUntil = time.Time{}, time.Time{}
		}
		failure = domain.Errorf(domain.Unavailable, "token_endpoint_unavailable", "%s", strings.TrimRight(answer.Sentence, "."))
	}
	if err := a.commit(ctx, u, ref, next, g.LeaseHolder, revision); err != nil {
		return result{err: err}
	}
	if failure != nil {
		return result{err: failure}
	}
	return result{access: next.Access}
}

// extend extends the lease of a holder until the function that it returns is called.
func (a *Authorizations) extend(ctx context.Context, u Use, ref domain.SecretRef, holder string) (release func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for streams.Wait(ctx, extend) {
			g, revision, err := a.openLatest(ctx, u.Integration.Owner(), ref)
			if err != nil || g.LeaseHolder != holder {
				continue
			}
			g.LeaseUntil = a.Now().Add(leaseTime)
			_, _ = a.replace(ctx, u.Integration.Owner(), ref, g, revision) // again soon
		}
	}()
	return func() { cancel(); <-done }
}

// commit writes a grant whose lease holder holds. A rotation of the root key may have
// written the same one under another revision.
func (a *Authorizations) commit(ctx context.Context, u Use, ref domain.SecretRef, next grant, holder string, revision uint64) error {
	for {
		_, err := a.replace(ctx, u.Integration.Owner(), ref, next, revision)
		if !errors.Is(err, vault.ErrReplaced) {
			if err != nil && ctx.Err() == nil && streams.Wait(ctx, leasePolling) { // the only copy of a token is here
				continue
			}
			return err
		}
		present, latest, err := a.openLatest(ctx, u.Integration.Owner(), ref)
		if err != nil {
			return err
		}
		if present.LeaseHolder != holder {
			return domain.Errorf(domain.Unavailable, "authorization_replaced", "the authorization was replaced just now; try again")
		}
		revision = latest
	}
}

// ended handles a refusal that names an end. Another process may have presented the token
// too, in spite of the lease: then the store has the tokens of the one that won.
func (a *Authorizations) ended(ctx context.Context, u Use, k key, ref domain.SecretRef, g grant, answer domain.TokenAnswer, earlier bool) result {
	present, _, err := a.openLatest(ctx, u.Integration.Owner(), ref)
	if err != nil {
		return result{err: a.unreadable(ctx, u, k, ref, err)}
	}
	if present.Refresh != g.Refresh || present.Access != g.Access {
		return result{access: present.Access}
	}
	cause := domain.LossRefused
	if earlier {
		cause = domain.LossAnswerLost
	}
	return result{err: a.lose(ctx, k, ref, cause, answer.Code)}
}

// ask sends a refresh, to where the grant is bound to.
func (a *Authorizations) ask(ctx context.Context, u Use, g grant) domain.TokenAnswer {
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	params := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {g.Refresh}}
	if g.Resource != "" {
		params.Set("resource", g.Resource)
	}
	if u.Integration.Auth.ScopeOnRefresh && len(g.Scopes) > 0 { // never what was requested: the person may have given less
		params.Set("scope", strings.Join(g.Scopes, " "))
	}
	return a.Upstream.RequestToken(ctx, domain.TokenRequest{
		Integration: u.Integration, Keyring: u.Keyring, Endpoint: g.TokenEndpoint, Client: g.client(), Params: params, Secrets: []string{"refresh_token"},
	})
}

// flights makes one refresh of this process at a time for each authorization.
type flights struct {
	mu      sync.Mutex
	running map[string]*flight
}

type flight struct {
	done chan struct{}
	result
}

// begin starts a refresh unless one is running.
func (f *flights) begin(of string, refresh func() result) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one := f.running[of]; one != nil {
		return one
	}
	one := &flight{done: make(chan struct{})}
	f.running[of] = one
	go func() {
		one.result = refresh()
		f.mu.Lock()
		delete(f.running, of)
		f.mu.Unlock()
		close(one.done)
	}()
	return one
}

// wait waits for a refresh, or until ctx ends.
func (f *flights) wait(ctx context.Context, of string, refresh func() result) (string, error) {
	one := f.begin(of, refresh)
	select {
	case <-one.done:
		return one.access, one.err
	case <-ctx.Done():
		return "", domain.Errorf(domain.Unavailable, "token_endpoint_unavailable", "the token was not renewed in time; try again")
	}
}
