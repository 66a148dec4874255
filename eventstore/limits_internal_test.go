package eventstore

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
)

func openStore(t *testing.T, nc *nats.Conn, replicas int) *Store {
	t.Helper()
	s, err := Open(t.Context(), nc, Config{Durable: func(context.Context) (bool, error) { return true, nil }, Replicas: replicas})
	require.NoError(t, err)
	return s
}

// appendNumber appends an event of an integration, and returns its position.
func appendNumber(ctx context.Context, s *Store, name string, after, version uint64) (uint64, error) {
	i := domain.Integration{ID: domain.NewID("acme", name), Workspace: "acme", Name: name, Version: version}
	return s.Append(ctx, "acme", i.ID, after, domain.IntegrationUpdated{Integration: i}, domain.Metadata{CommandID: fmt.Sprint(name, version)})
}

// storeNumber is appendNumber, repeated as a command is. Servers that have just begun change
// their leader, and the next one refuses an append until it has what the last one acknowledged.
func storeNumber(t *testing.T, s *Store, name string, after, version uint64) uint64 {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		position, err := appendNumber(t.Context(), s, name, after, version)
		if again := errors.Is(err, ErrConflict) || domain.KindOf(err) == domain.Unavailable; again && time.Now().Before(deadline) {
			continue
		}
		require.NoError(t, err)
		return position
	}
}

// servers are one server, and three with three replicas.
func servers(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Helper()
	t.Run("one", func(t *testing.T) { test(t, openStore(t, natstest.Connect(t), 1)) })
	t.Run("three", func(t *testing.T) {
		if testing.Short() {
			t.Skip("SKIPPED: it takes seconds; run without -short")
		}
		test(t, openStore(t, natstest.NewCluster(t).Connect(t, 0), 3))
	})
}

// While events are removed in steps, nothing is accepted that a later step could remove.
func TestNothingIsAcceptedBetweenTheStepsOfARemoval(t *testing.T) {
	servers(t, func(t *testing.T, s *Store) {
		last := map[string]uint64{}
		for version := range uint64(40) {
			for n, name := range []string{"crm", "ehr", "pms"} {
				if version < 40>>n {
					last[name] = storeNumber(t, s, name, last[name], version+1)
				}
			}
		}
		steps := 0
		removed, err := s.Prune(t.Context(), Pruning{
			Keep: 5, Events: &Retention{}, Archived: last["crm"], step: 3,
			Sign: func(*Positions) (string, error) { return "signed", nil },
			Progress: func(uint64, uint64) {
				steps++
				for name, after := range last {
					_, err := appendNumber(t.Context(), s, name, after, 99)
					require.Equal(t, domain.Unavailable, domain.KindOf(err), "%s after step %d", name, steps)
				}
			},
		})
		require.NoError(t, err)
		require.Greater(t, steps, 5)
		found, err := s.Inspect(t.Context(), Scrubbed{})
		require.NoError(t, err)
		require.True(t, found.Whole(), found.Describe())
		require.Equal(t, uint64(70-15), removed.Count())
		for name, after := range last {
			_, err := appendNumber(t.Context(), s, name, after, 100)
			require.NoError(t, err)
		}
	})
}

// An update of a Prune that others took for ended may arrive late.
func TestAnUpdateOfAnEarlierOwnerOfTheLimitsIsRefused(t *testing.T) {
	servers(t, func(t *testing.T, s *Store) {
		last := uint64(0)
		for version := range uint64(20) {
			last = storeNumber(t, s, "crm", last, version+1)
		}
		token, err := s.own(t.Context())
		require.NoError(t, err)
		info, err := s.info(t.Context())
		require.NoError(t, err)
		late := info.Config
		refuseAppends(&late, 3)
		late.MaxMsgsPerSubject, late.DiscardNewPerSubject = 3, true
		_, err = appendNumber(t.Context(), s, "crm", last, 21)
		require.Equal(t, domain.Unavailable, domain.KindOf(err), "appends are refused")

		require.NoError(t, s.endInterrupted(t.Context()))
		last, err = appendNumber(t.Context(), s, "crm", last, 21)
		require.NoError(t, err)
		_, err = s.js.UpdateStream(t.Context(), late)
		refused, ok := errors.AsType[*jetstream.APIError](err)
		require.True(t, ok, err)
		require.EqualValues(t, overlapCode, refused.ErrorCode)
		require.ErrorIs(t, s.limitAs(t.Context(), token, func(*jetstream.StreamConfig) {}), ErrPruneInterrupted)
		info, err = s.info(t.Context())
		require.NoError(t, err)
		require.Equal(t, uint64(21), info.State.Msgs)
		require.False(t, isLimited(info.Config))

		next, err := s.own(t.Context()) // who was overtaken takes nothing back from the next owner
		require.NoError(t, err)
		require.ErrorIs(t, s.unlimit(t.Context(), token), ErrPruneInterrupted)
		require.NoError(t, s.unlimit(t.Context(), next))
		_, err = appendNumber(t.Context(), s, "crm", last, 22)
		require.NoError(t, err)
	})
}
