package domain_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

func TestADestinationReceivesTheTypesThatItsPatternsMatch(t *testing.T) {
	for _, row := range []struct {
		patterns []string
		wants    []string
	}{
		{[]string{"*"}, domain.WebhookTypes()},
		{[]string{"integration.*"}, append([]string{"integration.created", "integration.updated", "integration.deleted", "integration.health_changed"}, domain.AuthorizationNames()...)},
		{[]string{"approval.*"}, domain.ApprovalTypes()},
		{[]string{"integration.updated"}, []string{"integration.updated"}},
		{[]string{"integration.created", "integration.health_changed"}, []string{"integration.created", "integration.health_changed"}},
	} {
		d := domain.WebhookDestination{EventTypes: row.patterns}
		var wants []string
		for _, typ := range domain.WebhookTypes() {
			if d.Wants(typ) {
				wants = append(wants, typ)
			}
		}
		require.Equal(t, row.wants, wants, row.patterns)
	}
	require.False(t, domain.WebhookDestination{EventTypes: []string{"integration.*"}}.Wants("webhook.test"))
}

func TestADestinationIsReadStrictlyAndEveryProblemIsListed(t *testing.T) {
	at := time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)
	made, err := domain.NewWebhookDestination("acme", "id", domain.Document{"url": "https://a.example/hook?x=1"}, at)
	require.NoError(t, err)
	require.Equal(t, domain.WebhookDestination{
		ID: "id", Workspace: "acme", URL: "https://a.example/hook?x=1", EventTypes: []string{"*"}, Enabled: true, CreatedAt: at, UpdatedAt: at, SecretVersion: 1,
	}, made)

	for _, row := range []struct {
		doc domain.Document
		at  []string
	}{
		{domain.Document{}, []string{"/url"}},
		{domain.Document{"url": "ftp://a.example", "description": json.Number("1"), "enabled": "yes", "id": "x"}, []string{"/url", "/description", "/enabled", "/id"}},
		{domain.Document{"url": "https://u:p@a.example"}, []string{"/url"}},
		{domain.Document{"url": "https://a.example/#x"}, []string{"/url"}},
		{domain.Document{"url": "https://a.example", "event_types": []any{}}, []string{"/event_types"}},
		{domain.Document{"url": "https://a.example", "event_types": []any{"integration.updatet", "*", "inte*"}}, []string{"/event_types/0", "/event_types/2"}},
	} {
		_, err := domain.NewWebhookDestination("acme", "id", row.doc, at)
		refusal, ok := errors.AsType[*domain.Error](err)
		require.True(t, ok, row.doc)
		var where []string
		for _, p := range refusal.Problems {
			where = append(where, p.Pointer)
		}
		require.Equal(t, row.at, where)
	}

	later := at.Add(time.Hour)
	changed, err := made.Disable("gone", at).Update(domain.Document{"enabled": true, "url": nil}, later)
	require.NoError(t, err)
	require.Equal(t, made.URL, changed.URL, "null keeps the value of a member that isn't nullable")
	require.Empty(t, changed.DisabledReason)
	require.Equal(t, later, changed.UpdatedAt)
}

func TestThePreviousSecretSignsUntilTheOverlapEnds(t *testing.T) {
	at := time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)
	d := domain.WebhookDestination{SecretVersion: 1}
	require.Equal(t, []uint64{1}, d.Signing(at))
	d = d.Rotate(time.Hour, at)
	require.Equal(t, []uint64{2, 1}, d.Signing(at.Add(time.Hour-1)))
	require.Equal(t, []uint64{2}, d.Signing(at.Add(time.Hour)))
	require.Equal(t, []uint64{3, 2}, d.Rotate(time.Hour, at).Signing(at))
	require.Equal(t, []uint64{3}, d.Rotate(0, at).Signing(at))
}
