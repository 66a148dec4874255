package domain_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

var (
	consentAt = time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)
	asked     = domain.AuthorizationStarted{Attempt: "h1", Incarnation: 1, By: "key1", Scopes: []string{"read", "write"}, At: consentAt}
	agreed    = domain.Authorized{
		Incarnation: 1, Issuer: "https://id.example.com", ClientID: "c", Requested: []string{"read", "write"}, Scopes: []string{"read"}, Account: "amy",
		By: "key1", Grant: domain.SecretRef{ID: "g1"}, CanRefresh: true, Binding: "b", At: consentAt,
	}
	ended     = domain.AuthorizationLost{Cause: domain.LossRefused, Code: "invalid_grant", At: consentAt}
	withdrawn = domain.AuthorizationRevoked{By: "key1", Outcome: "revoked", At: consentAt}
)

func authorization(events ...domain.AuthorizationEvent) domain.Authorization {
	var a domain.Authorization
	for _, e := range events {
		a = domain.EvolveAuthorization(a, e)
	}
	return a
}

func TestAnAttemptNeverChangesAnAuthorizationThatWorks(t *testing.T) {
	before := authorization(asked, agreed)
	after := authorization(asked, agreed, asked)
	require.Equal(t, domain.IsAuthorized, after.State)
	require.Equal(t, before.Grant, after.Grant)
	require.Equal(t, before.Account, after.Account)
	require.Equal(t, domain.NotAuthorized, authorization(asked).State)
}

func TestAnAttemptForAnIntegrationThatWasCreatedAgainBeginsAnew(t *testing.T) {
	again := asked
	again.Incarnation = 7
	a := authorization(asked, agreed, again)
	require.Equal(t, domain.NotAuthorized, a.State)
	require.Empty(t, a.Grant.ID)
}

func TestAConsentIsGivenOnceAndRestoresWhatWasLost(t *testing.T) {
	rows := map[string]struct {
		given []domain.AuthorizationEvent
		want  domain.AuthorizationEvent
	}{
		"the first":      {[]domain.AuthorizationEvent{asked}, agreed},
		"another":        {[]domain.AuthorizationEvent{asked, agreed}, agreed},
		"after a loss":   {[]domain.AuthorizationEvent{asked, agreed, ended}, domain.AuthorizationRestored(agreed)},
		"after its end":  {[]domain.AuthorizationEvent{asked, agreed, withdrawn}, agreed},
		"of a new owner": {[]domain.AuthorizationEvent{asked, agreed, ended, withdrawn}, agreed},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			e, err := authorization(row.given...).Give(agreed, false)
			require.NoError(t, err)
			require.Equal(t, row.want, e)
			a := domain.EvolveAuthorization(authorization(row.given...), e)
			require.Equal(t, domain.IsAuthorized, a.State)
			require.Empty(t, a.Lost)
		})
	}
}

func TestAnotherAccountIsRefusedUnlessItReplacesThePresentOne(t *testing.T) {
	other := agreed
	other.Account = "bob"
	unknown := agreed
	unknown.Account = ""
	for _, next := range []domain.Authorized{other, unknown} {
		_, err := authorization(asked, agreed).Give(next, false)
		require.Equal(t, domain.Conflict, domain.KindOf(err), next.Account)
		_, err = authorization(asked, agreed, ended).Give(next, false)
		require.Equal(t, domain.Conflict, domain.KindOf(err), "a loss keeps the account")
		_, err = authorization(asked, agreed).Give(next, true)
		require.NoError(t, err)
	}
	_, err := authorization(asked, agreed, withdrawn).Give(other, false)
	require.NoError(t, err, "nobody is left to be replaced")
}

func TestALossAndAnEndAreRecordedOnce(t *testing.T) {
	require.Equal(t, ended, authorization(asked, agreed).Lose(domain.LossRefused, "invalid_grant", consentAt))
	require.Nil(t, authorization(asked, agreed, ended).Lose(domain.LossRefused, "invalid_grant", consentAt))
	require.Nil(t, authorization(asked).Lose(domain.LossRefused, "invalid_grant", consentAt))
	require.Equal(t, withdrawn, authorization(asked, agreed, ended).Revoke("key1", "revoked", consentAt))
	require.Nil(t, authorization(asked, agreed, withdrawn).Revoke("key1", "revoked", consentAt))
	require.Empty(t, authorization(asked, agreed, withdrawn).Account)
}

func TestScopesAreComparedAsSets(t *testing.T) {
	a := authorization(asked, agreed)
	require.Equal(t, []string{"write"}, a.MissingScopes([]string{"write", "read", "write", "offline_access"}))
	require.Empty(t, a.MissingScopes([]string{"read"}))
	require.Equal(t, []string{"a", "b", "c"}, domain.SplitScopes("a,b c"))
}

func TestAnAuthorizationIsOnlyUsableForWhatWasConsentedTo(t *testing.T) {
	i := created(t, with(`{"type": "oauth2_authorization_code", "client_id": "c", "authorization_url": "https://id.example.com/authorize", "token_url": "https://id.example.com/token"}`))
	consent := agreed
	consent.Binding, consent.Incarnation = i.ConsentBinding(), i.Incarnation
	a := authorization(asked, consent)
	_, usable := a.Usable(i)
	require.True(t, usable)
	for _, change := range []string{
		`{"base_url": "https://evil.example.com"}`, `{"auth": {"token_url": "https://evil.example.com/token"}}`,
		`{"auth": {"resource": "https://other.example.com"}}`, `{"auth": {"token_in": {"query": "t"}}}`, `{"auth": {"issuer": "https://evil.example.com"}}`,
	} {
		next, _ := updated(t, i, change)
		cause, usable := a.Usable(next)
		require.False(t, usable, change)
		require.Equal(t, domain.LossChanged, cause, change)
	}
	next, _ := updated(t, i, `{"auth": {"scopes": ["read", "write"]}, "display_name": "CRM 2"}`)
	_, usable = a.Usable(next)
	require.True(t, usable, "more scopes are missing, and what there is still works")
	next, _ = updated(t, i, `{"auth": {"client_id": "d"}}`)
	_, usable = a.Usable(next)
	require.True(t, usable, "it keeps its client")
	i.Incarnation++
	_, usable = a.Usable(i)
	require.False(t, usable, "another integration of that name")
}

func TestWhatAPersonConsentedToIsReferencedByTheTokenThatWasRefused(t *testing.T) {
	require.True(t, domain.IsSignedInRef(domain.SignedInRef("")))
	require.True(t, domain.SignedInRef("t1").Refused("t1"))
	require.False(t, domain.SignedInRef("t1").Refused("t2"))
	require.False(t, domain.SignedInRef("").Refused("t1"))
	require.NotContains(t, domain.SignedInRef("t1-secret").ID, "t1-secret")
}
