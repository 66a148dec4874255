package authorizations

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
)

// A revocation that failed is repeated with the sealed tokens, which nothing else can use
// any more, and they are destroyed when it succeeds, or after a day.

const (
	retryFor      = 20 * time.Hour // less than its entry is kept
	revokingEntry = "revoking."
)

// postponed is a revocation to be repeated. Its tokens are in the vault under Ref.
type postponed struct {
	Ref         domain.SecretRef `json:"ref"`
	Of          string           `json:"of"` // the grant that they were
	Incarnation uint64           `json:"incarnation"`
	Until       time.Time        `json:"until"`
}

// postpone seals the tokens of a grant for later attempts to revoke them.
func (a *Authorizations) postpone(ctx context.Context, u Use, k key, of domain.SecretRef, g grant) error {
	owner := u.Integration.Owner()
	p := postponed{
		Ref: domain.SecretRef{ID: revokingSecret + k.hash + "-" + a.NewID(), Field: "revocation", Version: 1}, Of: of.ID, Incarnation: owner.Incarnation, Until: a.Now().Add(retryFor),
	}
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := a.seal(ctx, owner, p.Ref, g); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	if _, err := a.attempts.Put(ctx, revokingEntry+k.String()+"."+p.Ref.ID, data); err != nil {
		a.destroy(ctx, owner, p.Ref)
		return unavailable(err, "store a revocation")
	}
	return nil
}

// RetryRevocations repeats the revocations that failed, once each. It returns how many are
// left.
func (a *Authorizations) RetryRevocations(ctx context.Context, find Finder) (left int, err error) {
	names, err := a.attempts.ListKeysFiltered(ctx, revokingEntry+">")
	if err != nil {
		return 0, unavailable(err, "list revocations")
	}
	defer names.Stop() //nolint:errcheck // it ends with ctx
	for name := range names.Keys() {
		done, err := a.retryRevocation(ctx, name, find)
		if err != nil {
			a.Log.WarnContext(ctx, "repeating a revocation failed", slog.String("authorization", name), slog.Any("err", err))
		}
		if !done {
			left++
		}
		if ctx.Err() != nil {
			return left, ctx.Err()
		}
	}
	return left, nil
}

// retryRevocation repeats one revocation. It is done when it succeeded, or ended.
func (a *Authorizations) retryRevocation(ctx context.Context, name string, find Finder) (bool, error) {
	parts := strings.Split(strings.TrimPrefix(name, revokingEntry), ".")
	entry, err := a.attempts.Get(ctx, name)
	if err != nil || len(parts) != 4 {
		return false, err
	}
	var p postponed
	if err := json.Unmarshal(entry.Value(), &p); err != nil {
		return false, err
	}
	k := key{domain.Workspace(parts[0]), domain.ID(parts[1]), parts[2]}
	owner := domain.Owner{Workspace: k.workspace, ID: k.id, Incarnation: p.Incarnation}
	outcome, err := a.revokeAgain(ctx, k, owner, p, find)
	if err != nil || outcome == failed && a.Now().Before(p.Until) {
		return false, err
	}
	if outcome != "" {
		if _, err := a.change(ctx, k, "", func(domain.Authorization) (domain.AuthorizationEvent, error) {
			return domain.RevocationEnded{Outcome: outcome, At: a.Now()}, nil
		}); err != nil {
			return false, err
		}
	}
	if err := a.Vault.Destroy(ctx, owner, p.Ref); err != nil {
		return false, err
	}
	err = a.attempts.Purge(ctx, name, jetstream.LastRevision(entry.Revision()))
	return err == nil, err
}

// revokeAgain returns the outcome, empty when there is nothing to revoke.
func (a *Authorizations) revokeAgain(ctx context.Context, k key, owner domain.Owner, p postponed, find Finder) (string, error) {
	state, _, err := a.loadLatest(ctx, k)
	if err != nil || state.Grant.ID == p.Of { // the revocation was never recorded, and the tokens are in use
		return "", err
	}
	g, _, err := a.openLatest(ctx, owner, p.Ref)
	if domain.KindOf(err) == domain.Invalid {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	u, err := find(ctx, k.workspace, k.id)
	if domain.KindOf(err) == domain.Unavailable {
		return "", err
	}
	shared, sharedErr := a.shared(ctx, g)
	if err != nil || u.Integration.Incarnation != p.Incarnation || sharedErr != nil || shared { // nobody knows the client any more, or others use the tokens
		return failed, sharedErr
	}
	return a.revoke(ctx, u, g), nil
}
