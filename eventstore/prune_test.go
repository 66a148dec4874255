package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// filledLog appends a number of events to each of some integrations, in turns, and returns what the log has.
func filledLog(t *testing.T, s *eventstore.Store, integrations, events int) map[uint64]string {
	t.Helper()
	last := make([]uint64, integrations)
	for version := range events {
		for n := range integrations {
			i := crm(uint64(version + 1))
			i.ID = domain.NewID("acme", fmt.Sprint("crm-", n))
			var e domain.Event = domain.IntegrationUpdated{Integration: i}
			if version == 0 {
				e = domain.IntegrationCreated{Integration: i}
			}
			var err error
			last[n], err = s.Append(t.Context(), "acme", i.ID, last[n], e, meta(fmt.Sprint(n, "-", version)))
			require.NoError(t, err)
		}
	}
	return contents(t, s)
}

// contents returns what the log has at each position.
func contents(t *testing.T, s *eventstore.Store) map[uint64]string {
	t.Helper()
	all := map[uint64]string{}
	requireAvailable(t, func() error {
		head, err := s.Head(t.Context())
		if err != nil {
			return err
		}
		clear(all)
		for batch, err := range s.Messages(t.Context(), eventstore.StreamOfIntegrations, ">", 0, head) {
			if err != nil {
				return err
			}
			for _, m := range batch {
				all[m.Position] = fmt.Sprint(m.Subject, m.Time, m.Header, string(m.Data))
			}
		}
		return nil
	})
	return all
}

// pruning keeps some of the last events of each integration, of a log that is archived up to a position.
func pruning(keep, archived uint64) eventstore.Pruning {
	return eventstore.Pruning{
		Keep: keep, Events: &eventstore.Retention{}, Archived: archived, Progress: func(uint64, uint64) {},
		Sign: func(*eventstore.Positions) (string, error) { return "signed", nil },
	}
}

// intact requires that nothing is missing but a number of events that were removed.
func intact(t *testing.T, s *eventstore.Store, removed uint64) {
	t.Helper()
	var scrubbed eventstore.Scrubbed
	requireAvailable(t, func() (err error) {
		scrubbed, err = s.Scrub(t.Context(), false, func(uint64, uint64) {})
		return err
	})
	require.Zero(t, scrubbed.Missing, "%v", scrubbed.Ranges)
	var found eventstore.Integrity
	requireAvailable(t, func() (err error) {
		found, err = s.Inspect(t.Context(), scrubbed)
		return err
	})
	require.True(t, found.Whole(), found.Describe())
	require.Equal(t, removed, found.Removed)
}

func TestAllButTheLastEventsOfEachIntegrationAreRemoved(t *testing.T) {
	dir := t.TempDir()
	nc, stop := natstest.Start(t, dir)
	s := open(t, nc)
	before := filledLog(t, s, 10, 7)
	removed, err := s.Prune(t.Context(), pruning(3, 70))
	require.NoError(t, err)
	require.Equal(t, uint64(40), removed.Count())
	for position := range uint64(70) {
		require.Equal(t, position < 40, removed.Has(position+1), "position %d", position+1)
	}
	after := contents(t, s)
	require.Len(t, after, 30)
	for position, message := range after {
		require.Equal(t, before[position], message)
	}
	intact(t, s, 40)
	appendTo(t, s, 0, domain.IntegrationCreated{Integration: crm(1)}, "another")

	stop()
	nc, stop = natstest.Start(t, dir)
	defer stop()
	s = open(t, nc)
	require.Len(t, contents(t, s), 31)
	intact(t, s, 40)
	last, err := s.Load(t.Context(), "acme", domain.NewID("acme", "crm-3"))
	require.NoError(t, err)
	require.Equal(t, uint64(7), eventstore.VersionOf(last))

	again, err := s.Prune(t.Context(), pruning(1, 71)) // continues
	require.NoError(t, err)
	require.Equal(t, uint64(60), again.Count())
	intact(t, s, 60)
}

func TestEachReplicaRemovesTheSameEvents(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	c := natstest.NewCluster(t)
	s := openThree(t, c.Connect(t, 0))
	before := filledLog(t, s, 10, 7)
	_, err := s.Prune(t.Context(), pruning(2, 70))
	require.NoError(t, err)
	for n := range c.Servers {
		c.LeadLast(t, eventstore.StreamOfIntegrations)
		leader := c.Lead(t, eventstore.StreamOfIntegrations)
		s := openThree(t, c.Connect(t, leader))
		after := contents(t, s)
		require.Len(t, after, 20, "leader %d, round %d", leader, n)
		for position, message := range after {
			require.Equal(t, before[position], message)
		}
		intact(t, s, 50)
		c.Stop(leader)
		c.Start(t, leader)
	}
	i := crm(8)
	i.ID = domain.NewID("acme", "crm-9")
	requireAvailable(t, func() error {
		_, err := s.Append(t.Context(), "acme", i.ID, 70, domain.IntegrationUpdated{Integration: i}, meta("later"))
		return err
	})
}

func TestNothingIsRemovedThatIsNotArchivedOrNotRead(t *testing.T) {
	nc := natstest.Connect(t)
	s := open(t, nc)
	filledLog(t, s, 3, 5)
	failing := pruning(2, 9)
	failing.Sign = func(*eventstore.Positions) (string, error) { return "", errors.New("no key") }
	require.NoError(t, s.SavePosition(t.Context(), "crm.integrations._all._all", s.Lineage().ID(), 15))
	for want, p := range map[string]eventstore.Pruning{
		"the archive ends with position 8": pruning(2, 8), // 9 is the last that would be removed
		"no key":                           failing,
	} {
		_, err := s.Prune(t.Context(), p)
		require.ErrorContains(t, err, want)
		require.Len(t, contents(t, s), 15)
		intact(t, s, 0)
		require.Zero(t, s.Lineage().Removal())
	}
	appendTo(t, s, 0, domain.IntegrationCreated{Integration: crm(1)}, "the log accepts events")

	require.NoError(t, s.SavePosition(t.Context(), "erp.integrations._all._all", s.Lineage().ID(), 8))
	ended := make(chan error, 1)
	go func() {
		_, err := s.Prune(t.Context(), pruning(2, 16))
		ended <- err
	}()
	require.Never(t, func() bool { return len(ended) > 0 }, 2*time.Second, 50*time.Millisecond, "it waits for a follower")
	require.NoError(t, s.SavePosition(t.Context(), "erp.integrations._all._all", s.Lineage().ID(), 9))
	require.NoError(t, <-ended)
	require.Len(t, contents(t, s), 7)
	intact(t, s, 9)
}

// A process that is killed leaves the limits in the log. They remove nothing that is not recorded.
func TestALogWhosePruneWasKilledAcceptsEventsAgain(t *testing.T) {
	nc := natstest.Connect(t)
	s := open(t, nc)
	filledLog(t, s, 3, 5)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	killed := func() {
		log, err := js.Stream(t.Context(), eventstore.StreamOfIntegrations)
		require.NoError(t, err)
		c := log.CachedInfo().Config
		c.Metadata = map[string]string{"integrations.prune": "running"}
		c.MaxMsgs, c.Discard = 15, jetstream.DiscardNew
		_, err = js.UpdateStream(t.Context(), c)
		require.NoError(t, err)
		_, err = s.Append(t.Context(), "acme", "new", 0, domain.IntegrationCreated{Integration: crm(1)}, meta("refused"))
		require.Equal(t, domain.Unavailable, domain.KindOf(err))
	}
	killed()
	open(t, nc)
	first := appendTo(t, s, 0, domain.IntegrationCreated{Integration: crm(1)}, "after the next start")
	require.Equal(t, uint64(16), first)

	killed()
	g := &eventstore.Guard{Store: s, Save: func(eventstore.Mark) error { return nil }, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = g.Run(ctx) }()
	require.Eventually(t, func() bool {
		_, err := s.Append(t.Context(), "acme", crm(1).ID, first, domain.IntegrationUpdated{Integration: crm(2)}, meta("while the service runs"))
		return err == nil
	}, time.Minute, 20*time.Millisecond)
	require.Len(t, contents(t, s), 17)
}

func TestALossBesideRemovedEventsIsDetected(t *testing.T) {
	dir := t.TempDir()
	nc, stop := natstest.Start(t, dir)
	s := open(t, nc)
	filledLog(t, s, 3, 50)
	_, err := s.Prune(t.Context(), pruning(10, 150))
	require.NoError(t, err)
	mark, err := s.Mark(t.Context())
	require.NoError(t, err)
	stop()
	stream := filepath.Join(dir, "jetstream", "$G", "streams", "INTEGRATIONS")
	data, err := os.ReadFile(block(t, stream))
	require.NoError(t, err)
	at := strings.LastIndex(string(data), "ce-id") // in the last event
	data[at] ^= 0xff
	require.NoError(t, os.WriteFile(block(t, stream), data, 0o600))
	require.NoError(t, os.Remove(filepath.Join(stream, "msgs", "index.db")))
	nc, stop = natstest.Start(t, dir)
	defer stop()
	s = open(t, nc)
	found, err := s.Inspect(t.Context(), eventstore.Scrubbed{}, mark)
	require.NoError(t, err)
	require.False(t, found.Whole())
	require.Equal(t, []eventstore.Range{{From: 150, To: 150}}, found.Ranges)
}

// A reading that began before a removal takes nothing for lost.
func TestEventsThatAreRemovedDuringAScrubAreNotMissing(t *testing.T) {
	s := open(t, natstest.Connect(t))
	filledLog(t, s, 1, 1100) // more than a scrub reads at once
	scrubbed, err := s.Scrub(t.Context(), false, func(position, _ uint64) {
		if position < 1100 {
			_, err := s.Prune(t.Context(), pruning(10, 1100))
			require.NoError(t, err)
		}
	})
	require.NoError(t, err)
	require.Zero(t, scrubbed.Missing, "%v", scrubbed.Ranges)
	intact(t, s, 1090)
}
