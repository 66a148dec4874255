package domain_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

func TestWhoActedAndSignedInIsReplacedInEveryEventThatHasIt(t *testing.T) {
	const who, account = "oidc:ann@example.com", "ann@idp.example.com"
	events := map[string]domain.Event{}
	consent := domain.Authorized{By: who, Account: account}
	for name, change := range map[string]domain.AuthorizationEvent{
		"registered": domain.ClientRegistered{}, "started": domain.AuthorizationStarted{By: who}, "authorized": consent, "restored": domain.AuthorizationRestored(consent),
		"lost": domain.AuthorizationLost{}, "revoked": domain.AuthorizationRevoked{By: who}, "ended": domain.RevocationEnded{}, "proven": domain.AuthorizationProven{},
	} {
		events[name] = domain.AuthorizationChanged{Change: change, State: domain.Authorization{Subject: "s7", Account: account, AuthorizedBy: who}}
	}
	asked := domain.Approval{ID: "a1", Key: who, DecidedBy: who}
	for _, e := range []domain.Event{
		domain.CallRequested{Approval: asked},
		domain.CallApproved{Approval: asked},
		domain.CallDenied{Approval: asked},
		domain.CallExpired{Approval: asked},
		domain.CallStarted{Approval: asked},
		domain.CallMade{Approval: asked},
		domain.CallCancelled{Approval: asked},
		domain.CallLost{Approval: asked},
	} {
		events[domain.NameOf(e)] = e
	}
	sealed := domain.Persons{Name: func(name string) string {
		require.Equal(t, who, name)
		return "X"
	}, Account: func(subject, text string) string {
		require.Equal(t, "s7", subject)
		require.Equal(t, account, text)
		return "Y"
	}}
	opened := domain.Persons{Name: func(string) string { return who }, Account: func(string, string) string { return account }}
	for name, e := range events {
		before, err := json.Marshal(e)
		require.NoError(t, err)
		require.Contains(t, string(before), "ann@", name)
		stored, err := json.Marshal(sealed.In(e))
		require.NoError(t, err)
		require.NotContains(t, string(stored), "ann@", name)
		require.Equal(t, e, opened.In(sealed.In(e)), name)
		after, err := json.Marshal(e)
		require.NoError(t, err)
		require.Equal(t, string(before), string(after), "%s is left as it was", name)
	}
	for _, e := range []domain.Event{domain.IntegrationCreated{}, domain.IntegrationUpdated{}, domain.IntegrationDeleted{}, domain.IntegrationProbed{}, domain.IntegrationInvoked{}} {
		require.Equal(t, e, domain.Persons{}.In(e))
	}
}
