package eventstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/streams"
)

// appendNumbers appends a number of events of one integration, and returns the position of the last.
func appendNumbers(t *testing.T, s *Store, name string, events uint64) (last uint64) {
	t.Helper()
	for version := range events {
		var err error
		last, err = appendNumber(t.Context(), s, name, last, version+1)
		require.NoError(t, err)
	}
	return last
}

// The first update of an owner may arrive when another one has become the owner, which could not see
// its token in the log.
func TestTheFirstUpdateOfAnEarlierOwnerIsRefused(t *testing.T) {
	servers(t, func(t *testing.T, s *Store) {
		last := appendNumbers(t, s, "crm", 20)
		token, earlier, err := s.newOwner(t.Context())
		require.NoError(t, err)
		info, err := s.info(t.Context())
		require.NoError(t, err)
		late := info.Config
		late.Subjects = append(late.Subjects, token)
		refuseAppends(&late, 20)

		next, err := s.own(t.Context())
		require.NoError(t, err)
		_, err = s.js.UpdateStream(t.Context(), late)
		require.True(t, overlaps(err), "%v", err)
		require.ErrorIs(t, s.takeOver(t.Context(), token, earlier), ErrPruneInterrupted)
		require.NoError(t, s.unlimit(t.Context(), next))
		_, err = appendNumber(t.Context(), s, "crm", last, 21)
		require.NoError(t, err)
	})
}

// Who becomes the owner has read the number of messages before the last owner removed some.
func TestALogRefusesAppendsAlsoByTheLimitsOfBeforeARemoval(t *testing.T) {
	servers(t, func(t *testing.T, s *Store) {
		last := appendNumbers(t, s, "crm", 20)
		token, err := s.own(t.Context())
		require.NoError(t, err)
		next, earlier, err := s.newOwner(t.Context())
		require.NoError(t, err)
		info, err := s.info(t.Context())
		require.NoError(t, err)
		late := info.Config
		late.Subjects = append(late.Subjects[:len(late.Subjects)-1:len(late.Subjects)-1], next)
		removing := info.Config
		removing.MaxMsgs, removing.MaxMsgsPerSubject, removing.DiscardNewPerSubject = 3, 3, true
		require.Contains(t, removing.Subjects, token)
		_, err = s.js.UpdateStream(t.Context(), removing)
		require.NoError(t, err)

		_, err = s.js.UpdateStream(t.Context(), late)
		require.NoError(t, err)
		_, err = appendNumber(t.Context(), s, "crm", last, 21)
		require.Equal(t, domain.Unavailable, domain.KindOf(err), "20 messages may be there, and 3 are")
		require.ErrorContains(t, err, "archived events are being removed")
		require.NoError(t, s.takeOver(t.Context(), next, earlier))
		_, err = s.js.UpdateStream(t.Context(), removing)
		require.True(t, overlaps(err), "%v", err)
		require.NoError(t, s.unlimit(t.Context(), next))
		_, err = appendNumber(t.Context(), s, "crm", last, 21)
		require.NoError(t, err)
	})
}

// appending appends events of ever new integrations until stop is called, which returns the positions
// of those that were acknowledged.
func appending(t *testing.T, s *Store) (stop func() []uint64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var acknowledged []uint64
	var ended sync.WaitGroup
	ended.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			if position, err := appendNumber(ctx, s, fmt.Sprint("new-", n), 0, 1); err == nil {
				acknowledged = append(acknowledged, position)
			}
			streams.Wait(ctx, time.Millisecond)
		}
	})
	return func() []uint64 {
		cancel()
		ended.Wait()
		return acknowledged
	}
}

// pruneUntil prunes until it is done, however often it is interrupted, and requires that the log lacks
// what was removed, and nothing else.
func pruneUntil(t *testing.T, s *Store, p Pruning) *Positions {
	t.Helper()
	p.Sign = func(*Positions) (string, error) { return "signed", nil }
	for tries := 0; ; tries++ {
		p.Events = &Retention{}
		removed, err := s.Prune(t.Context(), p)
		if err == nil {
			t.Logf("tries: %d", tries+1)
			return removed
		}
		t.Log(err)
		require.True(t, domain.KindOf(err) == domain.Unavailable || errors.Is(err, ErrPruneInterrupted), "%v", err)
		require.Less(t, tries, 20)
	}
}

func complete(t *testing.T, s *Store, removed *Positions, acknowledged []uint64) {
	t.Helper()
	require.NotEmpty(t, acknowledged)
	found, err := s.Inspect(t.Context(), Scrubbed{})
	require.NoError(t, err)
	require.True(t, found.Whole(), found.Describe())
	require.False(t, found.Limited)
	require.Equal(t, removed.Count(), found.Removed)
	there := map[uint64]bool{}
	for batch, err := range s.Messages(t.Context(), logName, ">", 0, found.Last) {
		require.NoError(t, err)
		for _, m := range batch {
			there[m.Position] = true
		}
	}
	for position := range found.Last {
		require.NotEqual(t, removed.Has(position+1), there[position+1], "position %d", position+1)
	}
	for _, position := range acknowledged {
		require.True(t, there[position], "position %d", position)
	}
}

func TestTwoPrunesAtOnceRemoveWhatBothMay(t *testing.T) {
	servers(t, func(t *testing.T, s *Store) {
		archived := appendNumbers(t, s, "crm", 40)
		other := openStore(t, s.nc, s.log.CachedInfo().Config.Replicas)
		stop := appending(t, s)
		var both sync.WaitGroup
		removed := make([]*Positions, 2)
		for n, by := range []*Store{s, other} {
			both.Go(func() {
				removed[n] = pruneUntil(t, by, Pruning{Keep: uint64(5 + 5*n), Archived: archived, Progress: func(uint64, uint64) {}, step: 7})
			})
		}
		both.Wait()
		acknowledged := stop()
		require.Equal(t, uint64(35), max(removed[0].Count(), removed[1].Count()))
		all, err := other.RemovedNow(t.Context())
		require.NoError(t, err)
		require.Equal(t, uint64(35), all.Count())
		complete(t, s, all, acknowledged)
	})
}

func TestARemovalOutlivesALeaderAtEachStep(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	c := natstest.NewCluster(t)
	s := openStore(t, c.Connect(t, 0), 3)
	archived := appendNumbers(t, s, "crm", 40)
	stop := appending(t, s)
	steps := 0
	another := func(nc *nats.Conn) {
		subject := "$JS.API.META.LEADER.STEPDOWN"
		if steps++; steps%2 == 0 {
			subject = "$JS.API.STREAM.LEADER.STEPDOWN." + logName
		}
		_, _ = nc.Request(subject, nil, time.Second)
	}
	removed := pruneUntil(t, s, Pruning{
		Keep: 5, Archived: archived, step: 7, Progress: func(uint64, uint64) { another(s.nc) },
		Check: func(context.Context, *Positions) error { another(s.nc); return nil },
	})
	acknowledged := stop()
	t.Logf("%d leaders, %d appended", steps, len(acknowledged))
	for range c.Servers {
		c.LeadLast(t, logName)
		c.Lead(t, logName)
		complete(t, s, removed, acknowledged)
	}
}
