package projectiontest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// authorizationOf returns an authorization that somebody has given, at a position.
func authorizationOf(position uint64, integration, key string) projections.Authorization {
	return projections.Authorization{
		AuthorizationRef: domain.AuthorizationRef{Workspace: workspace, ID: domain.ID(integration), Key: key}, Position: position,
		State: domain.Authorization{
			State: domain.IsAuthorized, Version: 2, Incarnation: 1, Name: "crm", Subject: "s-" + key, Issuer: "https://id.example.com", ClientID: "us",
			Account: "amy", Scopes: []string{"read"}, Binding: "b1", CreatedAt: noon, ChangedAt: noon, CanRefresh: true,
			Grant: domain.SecretRef{ID: "grant-" + key, Field: "authorization", Version: 1},
		},
	}
}

func putAuthorizations(t *testing.T, s projections.Store, all ...projections.Authorization) {
	t.Helper()
	apply(t, s, projections.Batch{Authorizations: all})
}

func authorizations(ctx context.Context, t require.TestingT, s projections.Store, w domain.Workspace, q projections.AuthorizationQuery) projections.AuthorizationPage {
	page, err := s.Authorizations(ctx, w, q)
	require.NoError(t, err)
	return page
}

func listsAuthorizations(t *testing.T, s projections.Store) {
	all := projections.AuthorizationQuery{Limit: 10}
	require.Empty(t, authorizations(t.Context(), t, s, workspace, all).Items)
	given, lost := authorizationOf(3, "crm", "k1"), authorizationOf(5, "crm", "k1")
	lost.State.State, lost.State.Lost = domain.ReauthorizationRequired, domain.LossRefused
	putAuthorizations(t, s, given)
	require.Equal(t, projections.AuthorizationPage{Items: []projections.Authorization{given}, Total: 1}, authorizations(t.Context(), t, s, workspace, all))
	putAuthorizations(t, s, lost)
	putAuthorizations(t, s, given) // again, out of order
	require.Equal(t, []projections.Authorization{lost}, authorizations(t.Context(), t, s, workspace, all).Items)
	require.Empty(t, authorizations(t.Context(), t, s, "acme2", all).Items)
	revoked := lost
	revoked.Position, revoked.State = 6, domain.Authorization{State: domain.NotAuthorized, Version: 4, Incarnation: 1, Revocation: "revoked", CreatedAt: noon}
	putAuthorizations(t, s, revoked)
	require.Zero(t, authorizations(t.Context(), t, s, workspace, all).Total)
	asked := revoked
	asked.Position, asked.State.Revocation = 7, ""
	putAuthorizations(t, s, asked)
	require.Equal(t, []projections.Authorization{asked}, authorizations(t.Context(), t, s, workspace, all).Items)
}

// someAuthorizations differ in all that a filter looks at, and share times.
func someAuthorizations(w domain.Workspace) []projections.Authorization {
	var all []projections.Authorization
	for n := range 24 {
		a := authorizationOf(uint64(n+1), []string{"crm", "crm-2"}[n%2], fmt.Sprintf("k%02d", n))
		a.Workspace = w
		a.State.CreatedAt = noon.Add(time.Duration(n/5) * time.Microsecond)
		a.State.Incarnation = uint64(1 + n%4/3)
		a.State.State = []domain.AuthorizationState{domain.IsAuthorized, domain.ReauthorizationRequired, domain.NotAuthorized}[n%3]
		a.State.Subject, a.State.Account = fmt.Sprint("s", n%5), []string{"amy", "bob", ""}[n%3]
		a.State.ClientID, a.State.Binding, a.State.Issuer = fmt.Sprint("c", n%3), fmt.Sprint("b", n%2), fmt.Sprint("i", n%7/6)
		if a.State.State == domain.NotAuthorized && n%2 == 0 {
			a.State.Revocation = "revoked"
		}
		all = append(all, a)
	}
	return all
}

func authorizationFilters() []projections.AuthorizationFilter {
	return []projections.AuthorizationFilter{
		{},
		{ID: "crm"},
		{ID: "crm-2", Incarnation: 2},
		{Subject: "s2"},
		{Account: "amy"},
		{Account: "amy", Issuer: "i0", ClientID: "c0"},
		{NotClientID: "c1"},
		{State: domain.IsAuthorized},
		{State: domain.ReauthorizationRequired},
		{State: domain.NotAuthorized},
		{State: domain.IsAuthorized, Binding: "b0"},
		{State: domain.ReauthorizationRequired, Binding: "b0"},
		{State: domain.NotAuthorized, Binding: "b0"},
		{ID: "crm", NotClientID: "c0", State: domain.IsAuthorized, Binding: "b1"},
		{Subject: "nobody"},
	}
}

func filtersAuthorizations(t *testing.T, s projections.Store) {
	all := someAuthorizations(workspace)
	putAuthorizations(t, s, all...)
	for _, f := range authorizationFilters() {
		want := modelOfAuthorizations(all, workspace, projections.AuthorizationQuery{AuthorizationFilter: f, Limit: 100})
		require.Equal(t, want, authorizations(t.Context(), t, s, workspace, projections.AuthorizationQuery{AuthorizationFilter: f, Limit: 100}), "%+v", f)
		q := projections.AuthorizationQuery{AuthorizationFilter: f, Limit: 3}
		joined := []projections.Authorization{}
		for {
			page := authorizations(t.Context(), t, s, workspace, q)
			require.Equal(t, want.Total, page.Total)
			joined = append(joined, page.Items...)
			if q.After = page.Next; q.After == nil {
				break
			}
		}
		require.Equal(t, want.Items, joined, "%+v", f)
	}
}

// modelOfAuthorizations returns the page that answers q.
func modelOfAuthorizations(all []projections.Authorization, w domain.Workspace, q projections.AuthorizationQuery) projections.AuthorizationPage {
	rows, total := []projections.Authorization{}, 0
	for _, a := range all {
		if a.Workspace != w || !q.Matches(a) {
			continue
		}
		total++
		if q.After == nil || projections.AuthorizationKeyOf(a).Compare(*q.After) > 0 {
			rows = append(rows, a)
		}
	}
	slices.SortFunc(rows, func(a, b projections.Authorization) int {
		return projections.AuthorizationKeyOf(a).Compare(projections.AuthorizationKeyOf(b))
	})
	return projections.NewAuthorizationPage(q, rows, total)
}

func agreesWithTheModelOfAuthorizations(t *testing.T, s projections.Store) {
	tried := 0
	rapid.Check(t, func(r *rapid.T) {
		tried++
		w := domain.Workspace(fmt.Sprint(workspace, "-", tried)) // which is empty
		known := map[domain.AuthorizationRef]projections.Authorization{}
		drawn := rapid.Custom(func(r *rapid.T) projections.Authorization {
			return rapid.SampledFrom(someAuthorizations(w)).Draw(r, "authorization")
		})
		for range rapid.IntRange(1, 4).Draw(r, "batches") {
			var b projections.Batch
			for _, a := range rapid.SliceOfNDistinct(drawn, 0, 4, func(a projections.Authorization) int { return int(a.Position % 6) }).Draw(r, "authorizations") {
				a.Key = fmt.Sprint("k", a.Position%6)
				a.Position = rapid.Uint64Range(1, 30).Draw(r, "position")
				b.Authorizations = append(b.Authorizations, a)
				if before, ok := known[a.AuthorizationRef]; !ok || before.Position < a.Position {
					known[a.AuthorizationRef] = a
				}
			}
			require.NoError(r, s.Apply(t.Context(), b))
		}
		var all []projections.Authorization
		for _, a := range known {
			all = append(all, a)
		}
		q := projections.AuthorizationQuery{AuthorizationFilter: rapid.SampledFrom(authorizationFilters()).Draw(r, "filter"), Limit: rapid.IntRange(1, 4).Draw(r, "limit")}
		if rapid.Bool().Draw(r, "later page") {
			after := projections.AuthorizationKeyOf(drawn.Draw(r, "after"))
			q.After = &after
		}
		require.Equal(r, modelOfAuthorizations(all, w, q), authorizations(t.Context(), r, s, w, q))
	})
}
