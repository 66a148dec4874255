package domain

// AuthorizationRef identifies an authorization. It doesn't show whose it is: Key is a hash
// of the subject.
type AuthorizationRef struct {
	Workspace Workspace `json:"workspace_id"`
	ID        ID        `json:"integration_id"`
	Key       string    `json:"authorization_id"`
}

// Of returns the integration of the authorization.
func (a AuthorizationRef) Of() Ref { return Ref{Workspace: a.Workspace, ID: a.ID} }

// AuthorizationChanged records a change of one authorization, with the state after it. It
// changes no integration. Its stored name is that of the change.
type AuthorizationChanged struct {
	Workspace Workspace          `json:"workspace_id"`
	ID        ID                 `json:"integration_id"`
	Key       string             `json:"authorization_id"`
	Change    AuthorizationEvent `json:"change"`
	State     Authorization      `json:"state"`
}

func (AuthorizationChanged) event() {}

// Ref returns the authorization.
func (e AuthorizationChanged) Ref() AuthorizationRef {
	return AuthorizationRef{Workspace: e.Workspace, ID: e.ID, Key: e.Key}
}
