package authorizations

import (
	"context"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

// Owns reports whether a secret of the vault belongs to an authorization, by its id.
func Owns(secret string) bool {
	for _, prefix := range []string{subjectSecret, grantSecret, clientSecret, revokingSecret} {
		if strings.HasPrefix(secret, prefix) {
			return true
		}
	}
	return false
}

// Needs reports whether a secret that Owns is still needed, given the integration as it is
// now.
func (a *Authorizations) Needs(ctx context.Context, i domain.Integration, secret string) (bool, error) {
	if !i.Exists() || strings.HasPrefix(secret, revokingSecret) { // which is repeated for less than a day
		return false, nil
	}
	hash, isSubject := strings.CutPrefix(secret, subjectSecret)
	named, isGrant := strings.CutPrefix(secret, grantSecret)
	if isGrant {
		hash, _, _ = strings.Cut(named, "-")
	}
	if !isSubject && !isGrant { // a registered client, which grants name
		return true, nil
	}
	state, _, err := a.loadLatest(ctx, key{i.Workspace, i.ID, hash})
	if err != nil {
		return true, err
	}
	if state.Incarnation != i.Incarnation {
		return false, nil
	}
	return isSubject && state.Version > 0 || isGrant && state.Grant.ID == secret, nil
}
