package eventstore_test

import (
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/streams"
)

func openThree(t *testing.T, nc *nats.Conn) *eventstore.Store {
	t.Helper()
	var s *eventstore.Store
	requireAvailable(t, func() (err error) {
		s, err = eventstore.Open(t.Context(), nc, eventstore.Config{Durable: durable, Timeout: 10 * time.Second, Replicas: 3})
		return err
	})
	return s
}

// requireAvailable requires that something succeeds, once there is a leader again.
func requireAvailable(t *testing.T, try func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	err := try()
	for domain.KindOf(err) == domain.Unavailable && time.Now().Before(deadline) {
		err = try()
	}
	require.NoError(t, err)
}

func TestAStaleAppendToThreeReplicasIsRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	c := natstest.NewCluster(t)
	s := openThree(t, c.Connect(t, 0))
	first := appendTo(t, s, 0, domain.IntegrationCreated{Integration: crm(1)}, "c1")
	appendTo(t, s, first, domain.IntegrationUpdated{Integration: crm(2)}, "c2")
	for _, stale := range []uint64{0, first} {
		_, err := s.Append(t.Context(), "acme", crm(1).ID, stale, domain.IntegrationUpdated{Integration: crm(2)}, meta("c3"))
		require.ErrorIs(t, err, eventstore.ErrConflict)
	}
	again := appendTo(t, s, 0, domain.IntegrationUpdated{Integration: crm(2)}, "c2")
	require.Equal(t, first+1, again, "the same command is recognised, not refused and not stored twice")
}

func TestOneOfTheRacingCreatorsOnThreeServersWins(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	c := natstest.NewCluster(t)
	stores := make([]*eventstore.Store, len(c.Servers))
	for n := range stores {
		stores[n] = openThree(t, c.Connect(t, n))
	}
	raceToCreate(t, 30, stores...)
	head, err := stores[0].Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, uint64(1), head)
}

// A cluster refuses a stale append with one code, and one that races with an append
// still being replicated with another. Both are conflicts.
func TestBothConflictCodesOfAClusterAreConflicts(t *testing.T) {
	c := natstest.NewCluster(t)
	nc := c.Connect(t, 0)
	openThree(t, nc)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	seen := map[jetstream.ErrorCode]bool{}
	for round := 0; !seen[jetstream.JSErrCodeStreamWrongLastSequence] || !seen[jetstream.JSErrCodeStreamWrongLastSequenceConstant]; round++ {
		require.Less(t, round, 200, "seen: %v", seen)
		subject := fmt.Sprint("integrations.acme.", round)
		won := 0
		race := make([]jetstream.PubAckFuture, 8)
		for n := range race {
			race[n], err = js.PublishMsgAsync(&nats.Msg{Subject: subject, Header: nats.Header{"Nats-Expected-Last-Subject-Sequence": {"0"}}})
			require.NoError(t, err)
		}
		for _, one := range race {
			select {
			case <-one.Ok():
				won++
			case err := <-one.Err():
				require.True(t, streams.IsConflict(err), err)
				refusal, _ := errors.AsType[*jetstream.APIError](err)
				seen[refusal.ErrorCode] = true
			case <-time.After(time.Minute):
				t.Fatal("no answer")
			}
		}
		require.Equal(t, 1, won)
		_, err = js.Publish(t.Context(), subject, nil, jetstream.WithExpectLastSequencePerSubject(0))
		require.True(t, streams.IsConflict(err), err)
		refusal, _ := errors.AsType[*jetstream.APIError](err)
		seen[refusal.ErrorCode] = true
	}
}

func TestAFollowerThatIsBehindGivesAStaleReadAndTheAppendAConflict(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	for tries := 1; !conflictsBehind(t); tries++ {
		require.Less(t, tries, 4, "the follower was never behind")
	}
}

// conflictsBehind reports whether a follower of a new cluster was behind. A read may
// go to another follower that is up to date.
func conflictsBehind(t *testing.T) bool {
	t.Helper()
	c := natstest.NewCluster(t)
	far := openThree(t, c.Connect(t, 2))
	near := openThree(t, c.Connect(t, c.Lead(t, "INTEGRATIONS")))
	last := appendTo(t, near, 0, domain.IntegrationCreated{Integration: crm(1)}, "c0")
	require.Eventually(t, func() bool {
		got, err := far.Load(t.Context(), "acme", crm(1).ID)
		return err == nil && got.Position == last
	}, time.Minute, 10*time.Millisecond)
	c.Lag(t, 1500*time.Millisecond)
	var stale eventstore.Commit
	for version := uint64(2); ; version++ { // a slow machine may look too late
		if version == 20 {
			return false
		}
		last = appendTo(t, near, last, domain.IntegrationUpdated{Integration: crm(version)}, "c"+strconv.FormatUint(version, 10))
		var err error
		stale, err = far.Load(t.Context(), "acme", crm(1).ID)
		require.NoError(t, err)
		if stale.Position < last {
			break
		}
	}
	_, err := far.Append(t.Context(), "acme", crm(1).ID, stale.Position, domain.IntegrationUpdated{Integration: crm(99)}, meta("late"))
	require.ErrorIs(t, err, eventstore.ErrConflict)
	now, err := far.LoadFromLeader(t.Context(), "acme", crm(1).ID)
	require.NoError(t, err)
	require.Equal(t, last, now.Position)
	_, err = far.Append(t.Context(), "acme", crm(1).ID, now.Position, domain.IntegrationUpdated{Integration: crm(99)}, meta("late"))
	require.NoError(t, err)
	return true
}

func TestWaitingAppendsAreBatchedToThreeReplicas(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	c := natstest.NewCluster(t)
	nc := c.Connect(t, 0)
	s := openThree(t, nc)
	other := openThree(t, c.Connect(t, 1))
	both := make(chan []appended, 2)
	go func() { both <- appendMany(t.Context(), other, named("there", 150), nothing) }()
	both <- appendMany(t.Context(), s, named("here", 150), nothing)
	at := map[uint64]bool{}
	for range 2 {
		for _, a := range <-both {
			require.NoError(t, a.err)
			last, err := s.LoadFromLeader(t.Context(), "acme", a.id)
			require.NoError(t, err)
			require.Equal(t, last.Position, a.position)
			at[a.position] = true
		}
	}
	require.Len(t, at, 300)
	require.Positive(t, batched(t, nc, 300))
}

// A server returns with an empty disk, and is read before it has caught up.
func TestAReplicaThatIsBehindIsNotTrustedAsTheLog(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	c := natstest.NewCluster(t)
	s := openThree(t, c.Connect(t, 0))
	const events = 300
	spread(t, s, 0, events, "acme")
	c.Wipe(t, 2)
	readAll := func() (read int, err error) {
		latest, err := s.Latest(t.Context())
		if err != nil {
			return 0, err
		}
		for commits, err := range latest.Commits {
			if err != nil {
				return 0, err
			}
			read += len(commits)
		}
		return read, nil
	}
	for range 12 {
		var read int
		requireAvailable(t, func() (err error) {
			read, err = readAll()
			return err
		})
		require.Equal(t, events, read)
		if found, err := s.Scrub(t.Context(), false, func(uint64, uint64) {}); err == nil {
			require.Zero(t, found.Missing, found.Ranges)
		}
	}
}

// A claim that only a follower lacks doesn't look like the claim of another request.
func TestAClaimIsReadThoughAFollowerLacksIt(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	c := natstest.NewCluster(t)
	near, far := openThree(t, c.Connect(t, 0)), openThree(t, c.Connect(t, 2))
	c.Lead(t, "KV_IDEMPOTENCY")
	c.Lag(t, 500*time.Millisecond)
	for n := range 6 {
		key, first := fmt.Sprint("key-", n), eventstore.Claim{CommandID: "first", Request: "r"}
		got, err := near.Claim(t.Context(), key, first)
		require.NoError(t, err)
		require.Equal(t, first, got)
		got, err = far.Claim(t.Context(), key, eventstore.Claim{CommandID: "second", Request: "r"})
		require.NoError(t, err)
		require.Equal(t, first, got)
	}
}
