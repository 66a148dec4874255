package authorizations

import (
	"context"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

// Of returns the authorizations of a subject in a workspace of which something is stored besides
// their events: those that have not ended, or have secrets.
func (a *Authorizations) Of(ctx context.Context, w domain.Workspace, subject string) ([]domain.AuthorizationRef, error) {
	latest, err := a.Events.LatestAuthorizations(ctx, w, "")
	if err != nil {
		return nil, err
	}
	var found []domain.AuthorizationRef
	for commits, err := range latest.Commits {
		if err != nil {
			return nil, err
		}
		for _, c := range commits {
			if c.Key != a.hash(string(c.Workspace), string(c.ID), subject) {
				continue
			}
			k := key{c.Workspace, c.ID, c.Key}
			secrets, err := a.secretsOf(ctx, k)
			if err != nil {
				return nil, err
			}
			changed, _ := c.Event.(domain.AuthorizationChanged)
			if len(secrets) > 0 || changed.State.End("", "", a.Now()) != nil {
				found = append(found, k.ref())
			}
		}
	}
	return found, nil
}

// Erase ends an authorization, and destroys its tokens and the name of its subject. The
// authorization server is not asked. It can be repeated.
func (a *Authorizations) Erase(ctx context.Context, ref domain.AuthorizationRef, by string) error {
	k := keyOf(ref)
	if _, err := a.change(ctx, k, by, func(now domain.Authorization) (domain.AuthorizationEvent, error) {
		return now.End(by, notAsked, a.Now()), nil
	}); err != nil {
		return err
	}
	secrets, err := a.secretsOf(ctx, k)
	if err != nil {
		return err
	}
	for _, id := range secrets {
		if err := a.Vault.Destroy(ctx, domain.Owner{Workspace: k.workspace, ID: k.id}, domain.SecretRef{ID: id}); err != nil {
			return err
		}
	}
	for _, name := range []string{latestKey(k), stepUpKey(k)} {
		if err := a.attempts.Purge(ctx, name); err != nil {
			return unavailable(err, "forget an attempt")
		}
	}
	return nil
}

// secretsOf returns the ids of the secrets of an authorization.
func (a *Authorizations) secretsOf(ctx context.Context, k key) ([]string, error) {
	all, err := a.Vault.IDs(ctx, domain.Owner{Workspace: k.workspace, ID: k.id})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, secret := range all {
		if Owns(secret.ID) && strings.Contains(secret.ID, k.hash) {
			ids = append(ids, secret.ID)
		}
	}
	return ids, nil
}
