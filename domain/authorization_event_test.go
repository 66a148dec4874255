package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

// authorizationSamples has one event of each type of an authorization, with every field set.
func authorizationSamples() map[string]domain.Event {
	grant := domain.SecretRef{ID: "grant-7f-1", Field: "authorization", Version: 1, UpdatedAt: noon, Destinations: []string{}}
	given := domain.Authorized{
		Incarnation: 3, Issuer: "https://id.example.com", ClientID: "us", Requested: []string{"read", "write"}, Scopes: []string{"read"}, Account: "amy",
		By: "key1", Grant: grant, CanRefresh: true, Binding: "b1", Unproven: true, At: noon,
	}
	state := domain.Authorization{
		State: domain.ReauthorizationRequired, Version: 4, Name: "notes", Incarnation: 3, Subject: "s7", CreatedAt: noon, Issuer: given.Issuer, ClientID: "us",
		Requested: given.Requested, Scopes: given.Scopes, Account: "amy", AuthorizedBy: "key1", AuthorizedAt: noon, Lost: domain.LossRefused, Grant: grant,
		CanRefresh: true, ChangedAt: noon, Binding: "b1", StartedScopes: []string{"read"}, Unproven: true, Revocation: "revoked",
	}
	all := map[string]domain.Event{}
	for name, change := range map[string]domain.AuthorizationEvent{
		"integration.client_registered":              domain.ClientRegistered{Name: "notes", Issuer: given.Issuer, ClientID: "us", At: noon},
		"integration.authorization_started":          domain.AuthorizationStarted{Attempt: "a1", Name: "notes", Subject: "s7", Incarnation: 3, By: "key1", Scopes: []string{"read"}, At: noon},
		"integration.authorized":                     given,
		"integration.authorization_restored":         domain.AuthorizationRestored(given),
		"integration.authorization_lost":             domain.AuthorizationLost{Cause: domain.LossRefused, Code: "invalid_grant", At: noon},
		"integration.authorization_revoked":          domain.AuthorizationRevoked{By: "key1", Outcome: "retrying", At: noon},
		"integration.authorization_revocation_ended": domain.RevocationEnded{Outcome: "revoked", At: noon},
		"integration.authorization_proven":           domain.AuthorizationProven{At: noon},
	} {
		all[name] = domain.AuthorizationChanged{Workspace: "acme", ID: "b6002cfa-8cb8-5f9e-b864-0b32e41b5325", Key: "7f", Change: change, State: state}
	}
	return all
}

func TestAnAuthorizationChangesNoIntegration(t *testing.T) {
	i := everything(t)
	for name, e := range authorizationSamples() {
		require.Equal(t, i, domain.Evolve(i, e), name)
		require.Equal(t, name, domain.NameOf(e))
		require.Contains(t, domain.AuthorizationNames(), name)
	}
	require.Len(t, domain.AuthorizationNames(), len(authorizationSamples()))
}

func TestARevocationThatIsRetriedEndsOnce(t *testing.T) {
	retried := withdrawn
	retried.Outcome = "retrying"
	ended := domain.RevocationEnded{Outcome: "revoked", At: consentAt}
	require.Equal(t, "retrying", authorization(asked, agreed, retried).Revocation)
	require.Equal(t, "revoked", authorization(asked, agreed, retried, ended).Revocation)
	require.Empty(t, authorization(asked, agreed, retried, asked, ended).Revocation, "somebody has asked for another consent since")
}

func TestImportedTokensAreUnprovenUntilTheyAreRefreshed(t *testing.T) {
	imported := agreed
	imported.Unproven = true
	require.True(t, authorization(asked, imported).Unproven)
	require.False(t, authorization(asked, imported, domain.AuthorizationProven{At: consentAt}).Unproven)
	require.Equal(t, consentAt, authorization(asked, imported).CreatedAt)
}

func TestAnAuthorizationOfADeletedIntegrationEndsOnce(t *testing.T) {
	require.NotNil(t, authorization(asked).End("key1", "not_asked", consentAt), "its subject has a name to be forgotten")
	require.NotNil(t, authorization(asked, agreed, ended).End("key1", "not_asked", consentAt))
	require.Nil(t, authorization(asked, agreed, withdrawn).End("key1", "not_asked", consentAt))
	require.Nil(t, authorization().End("key1", "not_asked", consentAt))
}
