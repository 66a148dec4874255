package authorizations

import (
	"context"
	"log/slog"
	"net/url"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
)

// Revocation is what became of tokens.
type Revocation struct {
	Outcome  string // at the authorization server: revoked, unsupported, failed, or not_asked
	Siblings int    // other authorizations of the integration with the same client and account
}

const revokeTime = 10 * time.Second

// Revoke destroys the tokens of a subject, and its name. With cascade, and where there are
// no siblings, the authorization server is asked to end the grant (RFC 7009): many end all
// grants of the account to the client together. It refuses with NotFound when there is
// nothing.
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
	r := Revocation{Outcome: "not_asked"}
	if state.Grant.ID != "" {
		if r.Siblings, err = a.siblings(ctx, k, state); err != nil {
			return r, err
		}
		if g, _, err := a.openLatest(ctx, owner, state.Grant); err == nil && (r.Siblings == 0 || cascade) {
			r.Outcome = a.revoke(ctx, u, g)
		}
	}
	before, _, err := a.change(ctx, k, func(now domain.Authorization) (domain.AuthorizationEvent, error) {
		return now.Revoke(by, r.Outcome, a.Now()), nil
	})
	if err != nil {
		return r, err
	}
	for _, ref := range []domain.SecretRef{before.Grant, state.Grant} {
		if ref.ID != "" {
			a.destroy(ctx, owner, ref)
		}
	}
	a.destroy(ctx, owner, subjectRef(k))
	for _, name := range []string{latestKey(k), stepUpKey(k)} {
		if err := a.attempts.Purge(ctx, name); err != nil {
			a.Log.WarnContext(ctx, "forgetting an attempt failed; it expires", slog.Any("err", err))
		}
	}
	return r, nil
}

// revoke asks the revocation endpoint that a grant is bound to.
func (a *Authorizations) revoke(ctx context.Context, u Use, g grant) string {
	if g.RevocationEndpoint == "" {
		return "unsupported"
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTime)
	defer cancel()
	params := url.Values{"token": {g.Refresh}, "token_type_hint": {"refresh_token"}}
	if g.Refresh == "" {
		params = url.Values{"token": {g.Access}, "token_type_hint": {"access_token"}}
	}
	answer := a.Upstream.RequestToken(ctx, domain.TokenRequest{
		Integration: u.Integration, Keyring: u.Keyring, Endpoint: g.RevocationEndpoint, Client: g.client(), Params: params, Secrets: []string{"token"}, Revoke: true,
	})
	if answer.Outcome != domain.TokenGranted {
		a.Log.WarnContext(ctx, "revoking tokens failed", slog.String("outcome", string(answer.Outcome)), slog.String("code", answer.Code))
		return "failed"
	}
	return "revoked"
}

// siblings counts the other authorizations of an integration which the same account has
// given to the same client, among at most 1,000: one is enough to know that there are some.
func (a *Authorizations) siblings(ctx context.Context, k key, state domain.Authorization) (int, error) {
	if state.Account == "" {
		return 0, nil
	}
	count, read := 0, 0
	err := a.each(ctx, k.workspace, k.id, func(other key) error {
		if read++; other == k || read > maxScan {
			return nil
		}
		one, err := a.load(ctx, other)
		if err == nil && one.Grant.ID != "" && one.Account == state.Account && one.ClientID == state.ClientID && one.Issuer == state.Issuer {
			count++
		}
		return err
	})
	return count, err
}

// each calls visit for every authorization of an integration.
func (a *Authorizations) each(ctx context.Context, w domain.Workspace, id domain.ID, visit func(key) error) error {
	prefix := subjectPrefix + string(w) + "." + string(id) + "."
	within, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	info, err := a.stream.Info(within, jetstream.WithSubjectFilter(prefix+"*"))
	if err != nil {
		return unavailable(err, "list authorizations")
	}
	for subject := range info.State.Subjects {
		if err := visit(key{w, id, subject[len(prefix):]}); err != nil {
			return err
		}
	}
	return nil
}

// Forget destroys all tokens of an integration that was deleted. What it could not destroy,
// the sweep does later.
func (a *Authorizations) Forget(ctx context.Context, i domain.Integration, by string) error {
	owner := i.Owner()
	return a.each(ctx, i.Workspace, i.ID, func(k key) error {
		before, _, err := a.change(ctx, k, func(now domain.Authorization) (domain.AuthorizationEvent, error) {
			return now.Revoke(by, "not_asked", a.Now()), nil
		})
		if err != nil {
			return err
		}
		if before.Grant.ID != "" {
			a.destroy(ctx, owner, before.Grant)
		}
		a.destroy(ctx, owner, subjectRef(k))
		return nil
	})
}
