package authorizations

import (
	"context"
	"log/slog"

	"github.com/seed677028b5/integrations/domain"
)

// Confirm makes the tokens of an attempt those of a subject, once: the backend of the host
// application, which knows who its user is, has got the code from the browser of that user.
// A code of another subject is refused with Conflict: the one who started the attempt has sent
// the link to somebody else.
func (a *Authorizations) Confirm(ctx context.Context, u Use, code string) error {
	refused := domain.Errorf(domain.Conflict, "confirmation_invalid", "the code is not valid, or has expired; ask for another link")
	name, ok := a.Vault.FromOpaque(confirmPurpose, code)
	if !ok {
		return refused
	}
	t, revision, err := a.findAttempt(ctx, name)
	switch {
	case domain.KindOf(err) == domain.NotFound:
		return refused
	case err != nil:
		return err
	case t.key() != a.key(u):
		return domain.Errorf(domain.Conflict, "other_subject", "the link was made for another subject than the one that this confirms")
	case t.State != Unconfirmed || t.Held == nil || !a.Now().Before(t.ExpiresAt):
		return refused
	case t.Incarnation != u.Integration.Incarnation || t.Binding != u.Integration.ConsentBinding():
		return domain.Errorf(domain.Conflict, "integration_changed", "the integration has changed since this link was made; ask for another one")
	}
	held := *t.Held
	t.State, t.Held = Succeeded, nil
	if err := a.storeAttempt(ctx, name, t, revision); err != nil { // the code is used up
		return err
	}
	ctx = context.WithoutCancel(ctx)
	g, _, err := a.openLatest(ctx, u.Integration.Owner(), held.Grant)
	if err == nil {
		err = a.keep(ctx, u, t, held.Grant, &g, held.Account, false)
	}
	if err != nil {
		a.failed(ctx, name, err)
	}
	return err
}

// failed notes why an attempt has come to nothing after all.
func (a *Authorizations) failed(ctx context.Context, name string, cause error) {
	t, revision, err := a.findAttempt(ctx, name)
	if err == nil {
		t.State, t.Error, t.Sentence = Failed, domain.CodeOf(cause), sentence(cause)
		err = a.storeAttempt(ctx, name, t, revision)
	}
	if err != nil {
		a.Log.WarnContext(ctx, "noting a failed attempt failed", slog.Any("err", err))
	}
}
