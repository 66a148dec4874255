package transport

import (
	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/domain"
)

// authorizationChange is the authorization that an event is about. Whose it is, only webhooks
// and the list of authorizations show.
type authorizationChange struct {
	ID         string                    `json:"id"`
	State      domain.AuthorizationState `json:"state"`
	Reason     *domain.LossCause         `json:"reason"`
	Revocation *string                   `json:"revocation"`
	Subject    *string                   `json:"subject,omitempty"`
}

func showAuthorizationChange(e audit.Entry) *authorizationChange {
	if e.Authorization == nil {
		return nil
	}
	state := e.Authorization.State
	return &authorizationChange{ID: e.Authorization.Key, State: state.State, Reason: nullable(state.Lost), Revocation: nullable(state.Revocation)}
}
