package verify

import (
	"context"
	"crypto/sha256"
	"encoding/json"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/projections"
)

// authorizationState is what the log leads to for an authorization.
type authorizationState struct {
	position uint64
	version  uint64
	hash     [sha256.Size]byte
	listed   bool
	owner    domain.Owner
	grant    domain.SecretRef
	shown    bool // by the read model
}

// authorization adds one event to the state of its authorization.
func (v *verification) authorization(c eventstore.Commit) {
	changed, ok := c.Event.(domain.AuthorizationChanged)
	k := domain.AuthorizationRef{Workspace: c.Workspace, ID: c.ID, Key: c.Key}
	if !ok || changed.Ref() != k {
		v.problem("%s/%s: event %d is about something else than the authorization %s", c.Workspace, c.ID, c.Position, c.Key)
		return
	}
	a := v.authorizations[k]
	if a == nil {
		a = &authorizationState{}
		v.authorizations[k] = a
	}
	s := changed.State
	if s.Version != a.version+1 && v.gap <= a.position {
		v.problem("%s/%s: version %d of the authorization %s follows version %d", c.Workspace, c.ID, s.Version, c.Key, a.version)
	}
	*a = authorizationState{
		position: c.Position, version: s.Version, hash: hashOfAuthorization(s), listed: projections.Listed(s), grant: s.Grant,
		owner: domain.Owner{Workspace: c.Workspace, ID: c.ID, Incarnation: s.Incarnation},
	}
}

func hashOfAuthorization(a domain.Authorization) [sha256.Size]byte {
	data, err := json.Marshal(a)
	if err != nil {
		return [sha256.Size]byte{} // can't happen: it is plain data
	}
	return sha256.Sum256(data)
}

// openGrants opens the tokens of every authorization.
func (v *verification) openGrants(ctx context.Context) {
	for k, a := range v.authorizations {
		if a.grant.ID == "" {
			continue
		}
		v.report.Secrets++
		if _, err := v.Vault.Open(ctx, a.owner, a.grant); err != nil && !v.authorizationChanged(ctx, k) {
			v.problem("%s/%s: the tokens of the authorization %s: %v", k.Workspace, k.ID, k.Key, err)
		}
	}
}

// compareAuthorizations compares the read model with the state that the log leads to.
func (v *verification) compareAuthorizations(ctx context.Context, shown projections.Model) error {
	workspaces := map[domain.Workspace]bool{}
	for k := range v.authorizations {
		workspaces[k.Workspace] = true
	}
	for w := range workspaces {
		for q := (projections.AuthorizationQuery{Limit: 200}); ; {
			page, err := shown.Authorizations(ctx, w, q)
			if err != nil {
				return err
			}
			for _, one := range page.Items {
				a := v.authorizations[one.AuthorizationRef]
				if a != nil {
					a.shown = true
				}
				if (a == nil || !a.listed || a.hash != hashOfAuthorization(one.State)) && !v.authorizationChanged(ctx, one.AuthorizationRef) {
					v.problem("%s/%s: the read model differs from the log at the authorization %s", w, one.ID, one.Key)
				}
			}
			if q.After = page.Next; q.After == nil {
				break
			}
		}
	}
	for k, a := range v.authorizations {
		if a.listed && !a.shown && !v.authorizationChanged(ctx, k) {
			v.problem("%s/%s: the log has the authorization %s and the read model does not show it", k.Workspace, k.ID, k.Key)
		}
	}
	return nil
}

func (v *verification) authorizationChanged(ctx context.Context, k domain.AuthorizationRef) bool {
	last, err := v.Events.LoadAuthorizationFromLeader(ctx, k)
	return err == nil && last.Position > v.head
}
