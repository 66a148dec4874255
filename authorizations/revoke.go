package authorizations

import (
	"context"
	"log/slog"
	"net/url"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// Revocation is what became of tokens.
type Revocation struct {
	Outcome  string // at the authorization server: revoked, unsupported, retrying, or not_asked
	Siblings int    // other authorizations of the workspace with the same server, client and account
	Position uint64 // of the event in the log
}

// The outcomes of a revocation.
const (
	revoked     = "revoked"
	unsupported = "unsupported" // the server has no revocation endpoint
	retrying    = "retrying"
	failed      = "failed"
	notAsked    = "not_asked"
)

const revokeTime = 10 * time.Second

// Revoke destroys the tokens of a subject, and its name. With cascade, and where there are
// no siblings, the authorization server is asked to end the grant (RFC 7009): many end all
// grants of the account to the client together. If it can't be asked now, it is asked again
// for a day. Tokens that another installation may use are only destroyed here. It refuses
// with NotFound when there is nothing.
func (a *Authorizations) Revoke(ctx context.Context, u Use, by string, cascade bool) (Revocation, error) {
	k := a.key(u)
	state, _, err := a.loadLatest(ctx, k)
	if err != nil {
		return Revocation{}, err
	}
	owner := u.Integration.Owner()
	if state.Version == 0 || state.Incarnation != u.Integration.Incarnation {
		return Revocation{}, domain.Errorf(domain.NotFound, "authorization_not_found", "there is no such authorization")
	}
	r := Revocation{Outcome: notAsked}
	if state.Grant.ID != "" {
		if r, err = a.endGrant(ctx, u, k, state, cascade); err != nil {
			return r, err
		}
	}
	c, err := a.change(ctx, k, by, func(now domain.Authorization) (domain.AuthorizationEvent, error) {
		return now.Revoke(by, r.Outcome, a.Now()), nil
	})
	if err != nil {
		return r, err
	}
	r.Position = c.position
	for _, ref := range []domain.SecretRef{c.before.Grant, state.Grant} {
		if ref.ID != "" {
			a.destroy(ctx, owner, ref)
		}
	}
	a.forgetSubject(ctx, owner, k)
	return r, nil
}

// forgetSubject destroys the name of a subject, and what is known of its attempts.
func (a *Authorizations) forgetSubject(ctx context.Context, owner domain.Owner, k key) {
	a.destroy(ctx, owner, subjectRef(k))
	for _, name := range []string{latestKey(k), stepUpKey(k)} {
		if err := a.attempts.Purge(ctx, name); err != nil {
			a.Log.WarnContext(ctx, "forgetting an attempt failed; it expires", slog.Any("err", err))
		}
	}
}

// endGrant has the authorization server end a grant, where that is permitted.
func (a *Authorizations) endGrant(ctx context.Context, u Use, k key, state domain.Authorization, cascade bool) (Revocation, error) {
	r := Revocation{Outcome: notAsked}
	siblings, known := a.siblings(ctx, k, state)
	r.Siblings = siblings
	if !cascade && (!known || siblings > 0) {
		return r, nil
	}
	g, _, err := a.openLatest(ctx, u.Integration.Owner(), state.Grant)
	if domain.KindOf(err) == domain.Invalid {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	shared, err := a.shared(ctx, g)
	if err != nil || shared {
		return r, err
	}
	if r.Outcome = a.revoke(ctx, u, g); r.Outcome == failed {
		if err := a.postpone(ctx, u, k, state.Grant, g); err != nil {
			return r, err
		}
		r.Outcome = retrying
	}
	return r, nil
}

// revoke asks the revocation endpoint that a grant is bound to.
func (a *Authorizations) revoke(ctx context.Context, u Use, g grant) string {
	if g.RevocationEndpoint == "" {
		return unsupported
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTime)
	defer cancel()
	params := url.Values{"token": {g.Refresh}, "token_type_hint": {"refresh_token"}}
	if g.Refresh == "" {
		params = url.Values{"token": {g.Access}, "token_type_hint": {"access_token"}}
	}
	answer := a.Upstream.RequestToken(ctx, domain.TokenRequest{
		Integration: u.Integration, Keyring: u.Keyring, Endpoint: g.RevocationEndpoint, Client: g.client(u.Integration), Params: params, Secrets: []string{"token"}, Revoke: true,
	})
	if answer.Outcome != domain.TokenGranted {
		a.Log.WarnContext(ctx, "revoking tokens failed", slog.String("outcome", string(answer.Outcome)), slog.String("code", answer.Code))
		return failed
	}
	return revoked
}

const siblingTime = time.Second // to wait for the read model

// siblings counts the other authorizations of the workspace that the same account has given
// to the same client at the same server. It is not known while the read model is behind.
func (a *Authorizations) siblings(ctx context.Context, k key, state domain.Authorization) (count int, known bool) {
	if state.Account == "" {
		return 0, true
	}
	if a.Model == nil {
		return 0, false
	}
	ctx, cancel := context.WithTimeout(ctx, siblingTime)
	defer cancel()
	head, err := a.Events.Head(ctx)
	if err == nil {
		err = a.Wait(ctx, head)
	}
	var page projections.AuthorizationPage
	if err == nil {
		page, err = a.Model.Authorizations(ctx, k.workspace, projections.AuthorizationQuery{
			AuthorizationFilter: projections.AuthorizationFilter{Account: state.Account, Issuer: state.Issuer, ClientID: state.ClientID}, Limit: 1,
		})
	}
	if err != nil {
		a.Log.WarnContext(ctx, "the siblings of an authorization can't be counted; the authorization server is not asked", slog.Any("err", err))
		return 0, false
	}
	return max(page.Total-1, 0), true
}
