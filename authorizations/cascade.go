package authorizations

import (
	"context"
	"log/slog"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// Forget destroys the tokens of all subjects of an integration that was deleted, and their
// names. It can be called again, also after a part of it: what is done stays done. Tokens of
// an integration that was created again since are kept.
func (a *Authorizations) Forget(ctx context.Context, w domain.Workspace, id domain.ID, deletedAt uint64, by string) error {
	for c, err := range a.Events.Children(ctx, eventstore.ChildAuthorizations, w, id) {
		if err != nil {
			return err
		}
		changed, ok := c.Event.(domain.AuthorizationChanged)
		if !ok { // it can't be read, so its tokens are not known: the sweep finds them
			a.Log.WarnContext(ctx, "an authorization of a deleted integration can't be read", slog.String("integration_id", string(id)), slog.String("authorization", c.Key))
			continue
		}
		if changed.State.Incarnation >= deletedAt {
			continue
		}
		if err := a.forget(ctx, key{c.Workspace, c.ID, c.Key}, deletedAt, by); err != nil {
			return err
		}
	}
	return nil
}

func (a *Authorizations) forget(ctx context.Context, k key, deletedAt uint64, by string) error {
	c, err := a.change(ctx, k, by, func(now domain.Authorization) (domain.AuthorizationEvent, error) {
		if now.Incarnation >= deletedAt {
			return nil, nil
		}
		return now.End(by, notAsked, a.Now()), nil
	})
	if err != nil || c.after.Incarnation >= deletedAt {
		return err
	}
	owner := domain.Owner{Workspace: k.workspace, ID: k.id, Incarnation: c.before.Incarnation}
	if c.before.Grant.ID != "" {
		a.destroy(ctx, owner, c.before.Grant)
	}
	a.forgetSubject(ctx, owner, k)
	return nil
}
