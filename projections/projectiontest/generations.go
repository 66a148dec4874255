package projectiontest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// RunGenerations tests an implementation of Generations. Open returns the same empty
// generations twice, as for two processes, and closes them when its test ends.
func RunGenerations(t *testing.T, open func(t *testing.T) (one, other projections.Generations)) {
	for _, test := range []struct {
		sentence string
		run      func(*testing.T, projections.Generations, projections.Generations)
	}{
		{"at first there is no generation", hasNone},
		{"a generation is live once it is promoted", promotes},
		{"only one is built at a time", buildsOne},
		{"each has an identity, which it keeps", identifies},
		{"an incomplete generation can't be opened", opensWhatIsWhole},
		{"an interrupted build is deleted and its number not reused", dropsLeftovers},
		{"a generation that is read from stays", keepsWhatIsRead},
		{"generations that nobody can be reading are swept", sweeps},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			one, other := open(t)
			test.run(t, one, other)
		})
	}
}

// build builds a generation with one integration at a position. Unless it is promoted, it is
// left like an interrupted build.
func build(t *testing.T, g projections.Generations, position uint64, promote bool) uint64 {
	t.Helper()
	n, s, err := g.Create(t.Context())
	require.NoError(t, err)
	put(t, s, at(position, integration(workspace, "crm")))
	if promote {
		require.NoError(t, s.Index(t.Context()))
		require.NoError(t, g.Promote(t.Context(), n))
	}
	require.NoError(t, s.Close())
	return n
}

func requireLive(t *testing.T, g projections.Generations, want uint64) {
	t.Helper()
	live, err := g.Live(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, live)
}

func openGeneration(t *testing.T, g projections.Generations, n uint64) projections.Store {
	t.Helper()
	s, err := g.Open(t.Context(), n)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func requireUnusable(t *testing.T, g projections.Generations, n uint64) {
	t.Helper()
	_, err := g.Open(t.Context(), n)
	require.ErrorIs(t, err, projections.ErrUnusable)
	require.Equal(t, domain.Unavailable, domain.KindOf(err))
}

func hasNone(t *testing.T, g, _ projections.Generations) {
	requireLive(t, g, 0)
	requireUnusable(t, g, 1)
	require.NoError(t, g.Sweep(t.Context()))
}

func promotes(t *testing.T, g, other projections.Generations) {
	n, s, err := g.Create(t.Context())
	require.NoError(t, err)
	crm := integration(workspace, "crm")
	put(t, s, at(7, crm))
	requireLive(t, other, 0)
	require.NoError(t, s.Index(t.Context()))
	require.NoError(t, s.Index(t.Context()))
	put(t, s, at(8, integration(workspace, "ehr")))
	require.Equal(t, []string{"crm", "ehr"}, names(t, s, workspace, projections.Query{Sort: projections.Sort{By: projections.Name, Ascending: true}}))
	requireLive(t, other, 0)
	require.NoError(t, g.Promote(t.Context(), n))
	require.NoError(t, s.Close())
	requireLive(t, other, n)
	opened := openGeneration(t, other, n)
	require.Equal(t, crm, get(t, opened, crm).Integration)
	positions, err := opened.Positions(t.Context())
	require.NoError(t, err)
	require.Equal(t, projections.Positions{Integrations: 8}, positions)
}

func identifies(t *testing.T, g, other projections.Generations) {
	seen := map[string]bool{}
	for range 2 {
		n, s, err := g.Create(t.Context())
		require.NoError(t, err)
		require.Regexp(t, `^[0-9a-f]{16,}$`, s.Identity(), "it is part of a lease's key")
		require.False(t, seen[s.Identity()])
		seen[s.Identity()] = true
		require.NoError(t, s.Index(t.Context()))
		require.NoError(t, g.Promote(t.Context(), n))
		require.Equal(t, s.Identity(), openGeneration(t, other, n).Identity())
		require.NoError(t, s.Close())
	}
}

func opensWhatIsWhole(t *testing.T, g, other projections.Generations) {
	n, s, err := g.Create(t.Context())
	require.NoError(t, err)
	put(t, s, at(7, integration(workspace, "crm")))
	requireUnusable(t, other, n)
	require.NoError(t, s.Close())
	requireUnusable(t, other, n)
}

func buildsOne(t *testing.T, g, other projections.Generations) {
	_, s, err := g.Create(t.Context())
	require.NoError(t, err)
	for _, others := range []projections.Generations{g, other} {
		_, _, err = others.Create(t.Context())
		require.ErrorIs(t, err, projections.ErrBuilding)
	}
	require.NoError(t, s.Close())
	requireLive(t, g, build(t, other, 1, true))
}

func dropsLeftovers(t *testing.T, g, other projections.Generations) {
	first := build(t, g, 1, true)
	left := build(t, g, 2, false)
	requireLive(t, other, first)
	next := build(t, other, 3, true)
	require.Greater(t, next, left)
	requireUnusable(t, g, left)
	requireLive(t, g, next)
}

func keepsWhatIsRead(t *testing.T, g, other projections.Generations) {
	first := openGeneration(t, other, build(t, g, 1, true))
	build(t, g, 2, true)
	require.NoError(t, g.Sweep(t.Context()))
	require.Equal(t, []string{"crm"}, names(t, first, workspace, projections.Query{}))
	put(t, first, at(9, integration(workspace, "ehr"))) // its projector still runs
	require.Equal(t, 2, list(t, first, workspace, projections.Query{Limit: 1}).Total)
}

func sweeps(t *testing.T, g, other projections.Generations) {
	first := build(t, g, 1, true)
	build(t, g, 2, true)
	third := build(t, other, 3, true)
	require.NoError(t, g.Sweep(t.Context()))
	requireUnusable(t, other, first)
	openGeneration(t, other, third)
}
