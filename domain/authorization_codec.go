package domain

import (
	"encoding/json"
	"fmt"
)

// The stored names of the changes of authorizations. They never change.
const (
	clientRegisteredName = "integration.client_registered"
	startedName          = "integration.authorization_started"
	authorizedName       = "integration.authorized"
	restoredName         = "integration.authorization_restored"
	lostName             = "integration.authorization_lost"
	revokedName          = "integration.authorization_revoked"
	revocationEndedName  = "integration.authorization_revocation_ended"
	provenName           = "integration.authorization_proven"
)

// AuthorizationNames returns the names of the events of authorizations.
func AuthorizationNames() []string {
	return []string{clientRegisteredName, startedName, authorizedName, restoredName, lostName, revokedName, revocationEndedName, provenName}
}

func changeName(e AuthorizationEvent) string {
	switch e.(type) {
	case ClientRegistered:
		return clientRegisteredName
	case AuthorizationStarted:
		return startedName
	case Authorized:
		return authorizedName
	case AuthorizationRestored:
		return restoredName
	case AuthorizationLost:
		return lostName
	case AuthorizationRevoked:
		return revokedName
	case RevocationEnded:
		return revocationEndedName
	case AuthorizationProven:
		return provenName
	}
	return ""
}

// decodeAuthorization returns the change of an authorization with a stored name, false for
// another name.
func decodeAuthorization(c Codec, name string, data []byte) (Event, bool, error) {
	switch name {
	case clientRegisteredName:
		return decodeChange[ClientRegistered](c, name, data)
	case startedName:
		return decodeChange[AuthorizationStarted](c, name, data)
	case authorizedName:
		return decodeChange[Authorized](c, name, data)
	case restoredName:
		return decodeChange[AuthorizationRestored](c, name, data)
	case lostName:
		return decodeChange[AuthorizationLost](c, name, data)
	case revokedName:
		return decodeChange[AuthorizationRevoked](c, name, data)
	case revocationEndedName:
		return decodeChange[RevocationEnded](c, name, data)
	case provenName:
		return decodeChange[AuthorizationProven](c, name, data)
	}
	return nil, false, nil
}

func decodeChange[E AuthorizationEvent](c Codec, name string, data []byte) (Event, bool, error) {
	unmarshal := c.Unmarshal
	if unmarshal == nil {
		unmarshal = json.Unmarshal
	}
	var stored struct {
		AuthorizationRef
		Change E             `json:"change"`
		State  Authorization `json:"state"`
	}
	if err := unmarshal(data, &stored); err != nil {
		return nil, true, fmt.Errorf("decode %s: %w", name, err)
	}
	return AuthorizationChanged{
		Workspace: stored.Workspace, ID: stored.ID, Key: stored.Key, Change: stored.Change, State: stored.State,
	}, true, nil
}
