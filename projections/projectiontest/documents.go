package projectiontest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

func knowsOfNothing(t *testing.T, s projections.Store) {
	require.NoError(t, s.Ping(t.Context()))
	requireGone(t, s, workspace, domain.NewID(workspace, "crm"))
	require.Empty(t, names(t, s, workspace, projections.Query{}))
	positions, err := s.Positions(t.Context())
	require.NoError(t, err)
	require.Zero(t, positions)
	parked, err := s.Parked(t.Context())
	require.NoError(t, err)
	require.Empty(t, parked)
	probed, err := s.Probed(t.Context(), workspace, nil)
	require.NoError(t, err)
	require.Empty(t, probed)
	require.NoError(t, s.Apply(t.Context(), projections.Batch{}))
}

func showsWhatWasPut(t *testing.T, s projections.Store) {
	crm := integration(workspace, "crm")
	crm.Configuration = domain.Configuration{
		DisplayName: "Ärzte \\ 100% \"CRM\" 🏥", Protocol: domain.MCP, BaseURL: "https://crm.example.com",
		Auth:      &domain.Auth{Type: domain.BearerToken, Secrets: map[string]domain.SecretRef{"bearer_token_value": {ID: "x", Field: "auth.bearer_token_value", Version: 3, UpdatedAt: noon}}},
		Endpoints: []domain.Endpoint{}, Enabled: true, MCPTransport: domain.HTTP, MCPArgs: []string{"-v"},
		MCPURL: "https://mcp.example.com", HealthCheck: &domain.HealthCheck{Method: "GET", Path: "/up", IntervalSeconds: 30},
	}
	put(t, s, at(1, crm))
	require.Equal(t, projections.Integration{Integration: crm}, get(t, s, crm))
	require.Equal(t, []projections.Integration{{Integration: crm}}, list(t, s, workspace, projections.Query{Limit: 1}).Items)
}

func hidesTheDeleted(t *testing.T, s projections.Store) {
	crm := integration(workspace, "crm")
	put(t, s, at(1, crm))
	put(t, s, at(2, deleted(crm)))
	requireGone(t, s, workspace, crm.ID)
	require.Empty(t, names(t, s, workspace, projections.Query{}))
}

func refusesTheOlder(t *testing.T, s projections.Store) {
	crm, ehr, fax := integration(workspace, "crm"), integration(workspace, "ehr"), integration(workspace, "fax")
	older := crm
	older.DisplayName = "Older"
	put(t, s, at(5, crm), at(6, deleted(ehr)))
	put(t, s, at(4, older), at(1, ehr), at(7, fax)) // the new one among older ones is applied
	require.Equal(t, crm, get(t, s, crm).Integration)
	requireGone(t, s, workspace, ehr.ID)
	require.Equal(t, fax, get(t, s, fax).Integration)
	put(t, s, at(5, older))
	require.Equal(t, crm, get(t, s, crm).Integration)
}

func showsTheRecreated(t *testing.T, s projections.Store) {
	crm := integration(workspace, "crm")
	put(t, s, at(1, crm))
	put(t, s, at(2, deleted(crm)))
	crm.Version, crm.Incarnation = 3, 3
	put(t, s, at(3, crm))
	require.Equal(t, crm, get(t, s, crm).Integration)
	require.Equal(t, []string{"crm"}, names(t, s, workspace, projections.Query{}))
}

func agreesWithTwoProjectors(t *testing.T, s projections.Store) {
	const integrations, changes = 12, 8
	var both sync.WaitGroup
	for projector := range 2 {
		both.Go(func() {
			for version := range uint64(changes) {
				if projector == 1 && version%2 == 0 {
					continue // it reads larger batches, so it sees fewer of the states between
				}
				var b projections.Batch
				for n := range uint64(integrations) {
					i := integration(workspace, fmt.Sprintf("crm-%d", n))
					i.Version = version + 1
					b.Documents = append(b.Documents, at(version*integrations+n+1, i))
				}
				b.Reached.Integrations = (version + 1) * integrations
				if err := s.Apply(t.Context(), b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	both.Wait()
	page := list(t, s, workspace, projections.Query{Limit: integrations})
	require.Equal(t, integrations, page.Total)
	for _, i := range page.Items {
		require.EqualValues(t, changes, i.Version, i.Name)
	}
	positions, err := s.Positions(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, integrations*changes, positions.Integrations)
}

func keepsWorkspacesApart(t *testing.T, s projections.Store) {
	mine, theirs := integration(workspace, "crm"), integration("acme2", "crm")
	same := theirs // ids never collide between workspaces; a store must not rely on that
	same.ID, same.DisplayName = mine.ID, "Theirs"
	put(t, s, at(1, mine), at(2, theirs), at(3, same))
	requireGone(t, s, workspace, theirs.ID)
	require.Equal(t, mine, get(t, s, mine).Integration)
	require.Equal(t, same, get(t, s, same).Integration)
	for _, sort := range sorts() {
		page := list(t, s, workspace, projections.Query{Sort: sort, Limit: 5})
		require.Equal(t, []projections.Integration{{Integration: mine}}, page.Items)
		require.Equal(t, 1, page.Total)
	}
	require.Equal(t, 2, list(t, s, "acme2", projections.Query{Limit: 1}).Total)
	for _, other := range []domain.Workspace{"acm", "acme/", "ACME", "a%", ""} {
		require.Empty(t, names(t, s, other, projections.Query{}))
	}
	result := projections.ProbeResult{Position: 1, Workspace: "acme2", ID: mine.ID, Incarnation: 1, LastProbe: projections.LastProbe{Status: domain.Healthy, At: noon}}
	apply(t, s, projections.Batch{Probes: []projections.ProbeResult{result}})
	require.Nil(t, get(t, s, mine).LastProbe)
	require.NotNil(t, get(t, s, same).LastProbe)
}

func refusesWhatBeginsElsewhere(t *testing.T, s projections.Store) {
	batch := func(from, to projections.Positions) projections.Batch {
		return projections.Batch{From: &from, Reached: to}
	}
	stands := func(want projections.Positions) {
		t.Helper()
		got, err := s.Positions(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.NoError(t, s.Apply(t.Context(), batch(projections.Positions{}, projections.Positions{Integrations: 5})))
	require.NoError(t, s.Apply(t.Context(), batch(projections.Positions{}, projections.Positions{Integrations: 5})), "it was applied already")
	require.NoError(t, s.Apply(t.Context(), batch(projections.Positions{}, projections.Positions{Probes: 3})), "each log by itself")
	for _, from := range []uint64{0, 3, 7} {
		err := s.Apply(t.Context(), batch(projections.Positions{Integrations: from}, projections.Positions{Integrations: 9}))
		require.ErrorIs(t, err, projections.ErrMoved, from)
		require.Equal(t, domain.Unavailable, domain.KindOf(err))
	}
	stands(projections.Positions{Integrations: 5, Probes: 3})
	require.NoError(t, s.Apply(t.Context(), batch(projections.Positions{Integrations: 5}, projections.Positions{Integrations: 9})))
	require.NoError(t, s.Apply(t.Context(), batch(projections.Positions{Probes: 3}, projections.Positions{Probes: 4})))
	stands(projections.Positions{Integrations: 9, Probes: 4})
}

func neverGoesBack(t *testing.T, s projections.Store) {
	for _, step := range []struct{ reached, want projections.Positions }{
		{projections.Positions{Integrations: 7}, projections.Positions{Integrations: 7}},
		{projections.Positions{Probes: 3}, projections.Positions{Integrations: 7, Probes: 3}},
		{projections.Positions{Integrations: 5, Probes: 2}, projections.Positions{Integrations: 7, Probes: 3}},
		{projections.Positions{Integrations: 1 << 40, Probes: 1 << 41}, projections.Positions{Integrations: 1 << 40, Probes: 1 << 41}},
	} {
		require.NoError(t, s.Apply(t.Context(), projections.Batch{Reached: step.reached}))
		positions, err := s.Positions(t.Context())
		require.NoError(t, err)
		require.Equal(t, step.want, positions)
	}
}

func parks(t *testing.T, s projections.Store) {
	crm, ehr := integration(workspace, "crm"), integration(workspace, "ehr")
	park := func(position uint64, i domain.Integration) projections.Parked {
		return projections.Parked{Position: position, Workspace: i.Workspace, ID: i.ID, Reason: "unknown version 9", At: noon}
	}
	requireParked := func(want ...projections.Parked) {
		t.Helper()
		got, err := s.Parked(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	put(t, s, at(1, crm))
	apply(t, s, projections.Batch{Parked: []projections.Parked{park(4, ehr), park(3, crm)}})
	requireParked(park(3, crm), park(4, ehr))
	require.Equal(t, crm, get(t, s, crm).Integration)
	requireGone(t, s, workspace, ehr.ID)

	put(t, s, at(5, crm))
	requireParked(park(4, ehr))
	apply(t, s, projections.Batch{Parked: []projections.Parked{park(3, crm), park(2, ehr)}}) // again, and older
	requireParked(park(4, ehr))
	put(t, s, at(6, deleted(ehr)))
	requireParked()
	apply(t, s, projections.Batch{Parked: []projections.Parked{park(7, crm)}})
	requireParked(park(7, crm))
}

func returnsTheReason(t *testing.T, s projections.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.List(ctx, workspace, projections.Query{Limit: 1})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, s.Apply(ctx, projections.Batch{Documents: []projections.Document{at(1, integration(workspace, "crm"))}}), context.Canceled)
	ctx, cancel = context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err = s.Get(ctx, workspace, "x")
	require.Equal(t, domain.Unavailable, domain.KindOf(err))
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func isUnavailableWhenClosed(t *testing.T, s projections.Store) {
	require.NoError(t, s.Close())
	RequireUnavailable(t, s)
}

// RequireUnavailable checks that every method of s fails because its database is unavailable.
func RequireUnavailable(t *testing.T, s projections.Store) {
	t.Helper()
	ctx := t.Context()
	for asked, ask := range map[string]func() error{
		"get":  func() error { _, err := s.Get(ctx, workspace, "x"); return err },
		"list": func() error { _, err := s.List(ctx, workspace, projections.Query{Limit: 1}); return err },
		"probed": func() error {
			_, err := s.Probed(ctx, workspace, []domain.ID{"x"})
			return err
		},
		"authorizations": func() error {
			_, err := s.Authorizations(ctx, workspace, projections.AuthorizationQuery{Limit: 1})
			return err
		},
		"apply": func() error {
			return s.Apply(ctx, projections.Batch{Documents: []projections.Document{at(1, integration(workspace, "crm"))}})
		},
		"positions": func() error { _, err := s.Positions(ctx); return err },
		"parked":    func() error { _, err := s.Parked(ctx); return err },
		"index":     func() error { return s.Index(ctx) },
		"ping":      func() error { return s.Ping(ctx) },
	} {
		err := ask()
		var refusal *domain.Error
		require.ErrorAs(t, err, &refusal, asked)
		require.Equal(t, domain.Unavailable, refusal.Kind, asked)
		require.Equal(t, "read_store_unavailable", refusal.Code, asked)
		require.Error(t, refusal.Unwrap(), asked)
	}
}
