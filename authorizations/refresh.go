package authorizations

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/url"
	"strings"
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
	confirmed    = 2                // refusals in a row of a client that registered itself, until it is taken for forgotten
	leasePolling = 50 * time.Millisecond
	pauseRefused = time.Minute // after a refresh that a refusal caused, until another refusal causes one
)

// SignedIn returns the access token of a subject for a call, and the values of its account,
// which ref asks for (see domain.SignedInRef). Both are of one read: after a renewal, or a change
// of the account, both are the new ones. While an old token lasts, calls go on with it and
// another one is fetched in the background. It refuses with the code authorization_required when
// only a person can help, and with Unavailable when the authorization server doesn't answer.
func (a *Authorizations) SignedIn(ctx context.Context, u Use, ref domain.SecretRef) (domain.SignedIn, error) {
	k := a.key(u)
	state, err := a.usable(ctx, u, k)
	if err != nil {
		return domain.SignedIn{}, err
	}
	g, err := a.openFor(ctx, u, state.Grant)
	if err != nil || ref.ID == domain.SignedInLastRef().ID {
		return g.signedIn(), err
	}
	good, aging := g.current(a.Now())
	switch refused := ref.Refused(g.Access); {
	case good && !refused && aging && g.Refresh != "" && !a.Now().Before(g.PauseUntil):
		a.flights.begin(k.String(), func() result { return a.refresh(u, k, state.Grant, g.Access, false) })
		return g.signedIn(), nil
	case good && !refused:
		return g.signedIn(), nil
	case refused && a.Now().Sub(g.Replaced) < pauseRefused: // a fresh one, which was fetched because of a refusal
		return domain.SignedIn{}, domain.Errorf(domain.Conflict, domain.AuthorizationRequiredCode, "the upstream refuses a token that was issued just now; somebody must sign in again")
	case g.Refresh == "" && refused:
		return domain.SignedIn{}, a.lose(ctx, k, state.Grant, domain.LossTokenRefused, "")
	case g.Refresh == "":
		return domain.SignedIn{}, a.lose(ctx, k, state.Grant, domain.LossNoRefresh, "")
	}
	refused := ref.Refused(g.Access)
	got, err := a.flights.wait(ctx, k.String(), func() result { return a.refresh(u, k, state.Grant, g.Access, refused) })
	if err == nil && ref.Refused(got.Access) { // it came with a refresh that was under way before the refusal
		got, err = a.flights.wait(ctx, k.String(), func() result { return a.refresh(u, k, state.Grant, got.Access, true) })
	}
	if err != nil {
		return domain.SignedIn{}, err
	}
	return got.signedIn(), nil
}

// openFor opens a grant for a call: as the leader has it where somebody may just have chosen
// among the values of the account.
func (a *Authorizations) openFor(ctx context.Context, u Use, ref domain.SecretRef) (grant, error) {
	if !u.Integration.Captures() {
		return a.open(ctx, u.Integration.Owner(), ref)
	}
	g, _, err := a.openLatest(ctx, u.Integration.Owner(), ref)
	return g, err
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
	c, err := a.change(ctx, k, "", func(state domain.Authorization) (domain.AuthorizationEvent, error) {
		if state.Grant.ID != grant.ID {
			return nil, nil
		}
		return state.Lose(cause, code, a.Now()), nil
	})
	if err != nil {
		return err
	}
	if c.after.Grant.ID != grant.ID {
		return domain.Errorf(domain.Unavailable, "authorization_replaced", "the authorization was replaced just now; try again")
	}
	if c.before.State == domain.IsAuthorized {
		if err := a.noteLoss(ctx, k); err != nil {
			a.Log.WarnContext(ctx, "counting a loss failed", slog.Any("err", err))
		}
	}
	a.Log.WarnContext(ctx, "an authorization was lost", slog.String("integration_id", string(k.id)), slog.String("authorization", k.hash), slog.String("cause", string(cause)))
	return Required(cause)
}

// refresh replaces the access token old. It takes the lease first, so that of all processes
// one presents the refresh token; the others wait for what that one gets. It goes on when
// its caller leaves: what was sent must be answered for. Refused means that the upstream
// takes old no more.
func (a *Authorizations) refresh(u Use, k key, ref domain.SecretRef, old string, refused bool) result {
	ctx, cancel := context.WithTimeout(context.Background(), maxRefresh)
	defer cancel()
	holder := a.NewID()
	for ctx.Err() == nil {
		g, revision, err := a.openLatest(ctx, u.Integration.Owner(), ref)
		switch now := a.Now(); {
		case err != nil:
			return result{err: a.unreadable(ctx, u, k, ref, err)}
		case g.Access != old:
			return result{grant: g}
		case now.Before(g.PauseUntil):
			return result{err: domain.Errorf(domain.Unavailable, "token_endpoint_unavailable", "the token endpoint failed just now; it is asked again soon")}
		case now.Before(g.LeaseUntil):
			streams.Wait(ctx, leasePolling)
			continue
		}
		if shared, err := a.shared(ctx, g); err != nil || shared {
			return result{err: errors.Join(err, pausedIf(shared))}
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
		got := a.present(ctx, u, k, ref, g, revision, refused)
		if got.err == nil && g.Unproven {
			a.prove(ctx, k, ref)
		}
		return got
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
func (a *Authorizations) present(ctx context.Context, u Use, k key, ref domain.SecretRef, g grant, revision uint64, refused bool) result {
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
		if next.Replaced = (time.Time{}); refused {
			next.Replaced = now
		}
		if with, err := next.withClientSecret(ctx, u); err == nil { // else it keeps the copy that it has
			next = with
		}
		if next = next.recapture(answer); len(answer.Unfit) > 0 {
			a.Log.WarnContext(ctx, "a renewal came with values of the account that they must not have", slog.String("integration_id", string(k.id)), slog.Any("names", answer.Unfit))
		}
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
		if g.Registered && answer.Code == "invalid_client" && next.Failures >= confirmed {
			a.forgetClient(ctx, u.Integration.Owner(), clientRef(domain.AuthorizationServer{Issuer: g.Issuer, TokenEndpoint: g.TokenEndpoint}, g.RedirectURI), g.ClientID)
			failure = a.lose(ctx, k, ref, domain.LossClientUnknown, answer.Code)
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
	return result{grant: next}
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
		for name := range next.Choices { // somebody may have chosen meanwhile
			if value := present.Captured[name]; value != "" {
				next.Captured = maps.Clone(next.Captured)
				next.Captured[name] = value
			}
		}
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
		return result{grant: present}
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
		Integration: u.Integration, Keyring: u.Keyring, Endpoint: g.TokenEndpoint, Client: g.client(u.Integration), Params: params, Secrets: []string{"refresh_token"}, Proof: domain.NewSecret(g.ProofKey),
	})
}
