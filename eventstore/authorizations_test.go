package eventstore_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
)

func TestAuthorizationsAreReadInOneOrderWithTheirIntegration(t *testing.T) {
	t.Parallel()
	nc := natstest.Connect(t)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{ // of an earlier version
		Name: "INTEGRATIONS", Subjects: []string{"integrations.*.*"}, AllowDirect: true, AllowAtomicPublish: true, DenyDelete: true, DenyPurge: true,
	})
	require.NoError(t, err)
	s := open(t, nc)
	i := crm(1)
	authorization := func(key string, after uint64, command string) uint64 {
		position, err := s.AppendAuthorization(t.Context(), after, domain.AuthorizationChanged{
			Workspace: "acme", ID: i.ID, Key: key, Change: domain.AuthorizationLost{Cause: domain.LossRefused}, State: domain.Authorization{Version: 1},
		}, meta(command))
		require.NoError(t, err)
		return position
	}
	var all []uint64
	last, of := uint64(0), map[string]uint64{}
	for n := range 12 {
		if n%3 == 0 {
			last = appendTo(t, s, last, domain.IntegrationCreated{Integration: crm(uint64(n/3 + 1))}, fmt.Sprint("c", n))
			all = append(all, last)
			continue
		}
		key := fmt.Sprint("k", n%2)
		of[key] = authorization(key, of[key], fmt.Sprint("a", n))
		all = append(all, of[key])
	}
	one := eventstore.Selection{Workspace: "acme", ID: i.ID, Authorizations: true}
	for _, limit := range []int{1, 2, 5, 20} {
		for _, selection := range []eventstore.Selection{one, {Workspace: "acme", Authorizations: true}, {Authorizations: true}} {
			require.Equal(t, all, walk(t, limit, 0, func(at uint64) ([]eventstore.Commit, bool, error) { return s.Page(t.Context(), selection, at, limit) }))
			newest := walk(t, limit, 0, func(at uint64) ([]eventstore.Commit, bool, error) {
				return s.PageBefore(t.Context(), selection, at, limit)
			})
			slices.Reverse(newest)
			require.Equal(t, all, newest)
		}
	}
	own := walk(t, 20, 0, func(at uint64) ([]eventstore.Commit, bool, error) {
		return s.Page(t.Context(), eventstore.Selection{Workspace: "acme", ID: i.ID}, at, 20)
	})
	require.Len(t, own, 4, "without its authorizations")

	replayed := []uint64{}
	for batch, err := range s.Replay(t.Context(), eventstore.Replay{Of: one, After: all[0]}) {
		require.NoError(t, err)
		for _, stored := range batch {
			replayed = append(replayed, stored.Position)
		}
	}
	require.Equal(t, all[1:], replayed)

	latest, err := s.LatestAuthorizations(t.Context(), "acme", i.ID)
	require.NoError(t, err)
	found := map[string]uint64{}
	for commits, err := range latest.Commits {
		require.NoError(t, err)
		for _, c := range commits {
			found[c.Key] = c.Position
		}
	}
	require.Equal(t, of, found)
	c, err := s.LoadAuthorization(t.Context(), domain.AuthorizationRef{Workspace: "acme", ID: i.ID, Key: "k0"})
	require.NoError(t, err)
	require.Equal(t, of["k0"], c.Position)
	_, err = s.AppendAuthorization(context.WithoutCancel(t.Context()), 0, domain.AuthorizationChanged{Workspace: "acme", ID: i.ID, Key: "k0", Change: domain.AuthorizationProven{}}, meta("late"))
	require.ErrorIs(t, err, eventstore.ErrConflict)
}

// walk reads all pages and returns the positions.
func walk(t *testing.T, limit int, at uint64, page func(uint64) ([]eventstore.Commit, bool, error)) (all []uint64) {
	t.Helper()
	for {
		commits, more, err := page(at)
		require.NoError(t, err)
		require.LessOrEqual(t, len(commits), limit)
		for _, c := range commits {
			require.NoError(t, c.Err)
			at = c.Position
			all = append(all, at)
		}
		if !more {
			return all
		}
		require.NotEmpty(t, commits)
	}
}
