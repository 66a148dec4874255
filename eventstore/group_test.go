package eventstore_test

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/faultproxy"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// appended is the result of one of many appends.
type appended struct {
	id       domain.ID
	position uint64
	err      error
}

// appendMany appends the creation of the named integrations concurrently, each after a
// position that may depend on its name.
func appendMany(ctx context.Context, s *eventstore.Store, names []string, after func(name string) uint64) []appended {
	out := make([]appended, len(names))
	done := make(chan struct{})
	for n, name := range names {
		go func() {
			defer func() { done <- struct{}{} }()
			i := crm(1)
			i.Name, i.ID = name, domain.NewID("acme", name)
			position, err := s.Append(ctx, "acme", i.ID, after(name), domain.IntegrationCreated{Integration: i}, meta(fmt.Sprintf("%s-%d", name, n)))
			out[n] = appended{i.ID, position, err}
		}()
	}
	for range names {
		<-done
	}
	return out
}

func named(prefix string, n int) []string {
	names := make([]string, n)
	for k := range names {
		names[k] = fmt.Sprintf("%s-%d", prefix, k)
	}
	return names
}

func nothing(string) uint64 { return 0 }

// batched returns how many messages of the log were sent in a batch.
func batched(t *testing.T, nc *nats.Conn, positions uint64) (count int) {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), "INTEGRATIONS")
	require.NoError(t, err)
	for position := range positions {
		msg, err := stream.GetMsg(t.Context(), position+1)
		require.NoError(t, err)
		if msg.Header.Get("Nats-Batch-Id") != "" {
			count++
		}
	}
	return count
}

func TestWaitingAppendsAreBatchedAndEachHasTheReportedPosition(t *testing.T) {
	nc := natstest.Connect(t)
	s := open(t, nc)
	all := appendMany(t.Context(), s, named("crm", 300), nothing)
	at := map[uint64]bool{}
	for _, a := range all {
		require.NoError(t, a.err)
		c, err := s.Load(t.Context(), "acme", a.id)
		require.NoError(t, err)
		require.Equal(t, c.Position, a.position)
		at[a.position] = true
	}
	require.Len(t, at, 300)
	require.Greater(t, batched(t, nc, 300), 150)
}

func TestOnlyOneOfTheAppendsThatFollowTheSameEventIsStored(t *testing.T) {
	s := open(t, natstest.Connect(t))
	for range 5 {
		head, err := s.Head(t.Context())
		require.NoError(t, err)
		last, err := s.Load(t.Context(), "acme", domain.NewID("acme", "hot"))
		require.NoError(t, err)
		names := named("cold", 100)
		for n := range names {
			if n%2 == 0 {
				names[n] = "hot"
			} else {
				names[n] += fmt.Sprintf("-%d", head)
			}
		}
		made := 0
		for n, a := range appendMany(t.Context(), s, names, func(name string) uint64 {
			if name == "hot" {
				return last.Position
			}
			return 0
		}) {
			switch {
			case names[n] != "hot":
				require.NoError(t, a.err, "conflicts on another integration don't affect this one")
			case a.err == nil:
				made++
			default:
				require.ErrorIs(t, a.err, eventstore.ErrConflict)
			}
		}
		require.Equal(t, 1, made)
	}
}

func TestAConflictInABatchFailsOnlyItsOwnAppend(t *testing.T) {
	s := open(t, natstest.Connect(t))
	for n, a := range appendMany(t.Context(), s, named("crm", 200), func(name string) uint64 {
		if strings.HasSuffix(name, "7") {
			return 1_000_000 // nothing is there
		}
		return 0
	}) {
		if n%10 == 7 {
			require.ErrorIs(t, a.err, eventstore.ErrConflict)
			continue
		}
		require.NoError(t, a.err)
	}
	head, err := s.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, uint64(180), head)
}

func TestALogWithoutBatchesAcceptsAppends(t *testing.T) {
	nc := natstest.Connect(t)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "INTEGRATIONS", Subjects: []string{"integrations.*.*"}, AllowDirect: true, DenyDelete: true, DenyPurge: true})
	require.NoError(t, err)
	s := open(t, nc)
	for _, a := range appendMany(t.Context(), s, named("crm", 100), nothing) {
		require.NoError(t, a.err)
	}
	require.Zero(t, batched(t, nc, 100))
}

func TestABatchWhoseAckIsLostIsFoundInTheLog(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	far, near, proxy := behindProxy(t)
	proxy.Delay(faultproxy.Downstream, 500)
	all := make(chan []appended, 1)
	go func() { all <- appendMany(t.Context(), far, named("crm", 100), nothing) }()
	made := func() bool {
		head, err := near.Head(t.Context())
		return err == nil && head == 100
	}
	require.Eventually(t, made, time.Minute, time.Millisecond)
	proxy.Stop() // the reply to the batch is still on its way
	proxy.Start()
	for _, a := range <-all {
		require.NoError(t, a.err)
		c, err := near.Load(t.Context(), "acme", a.id)
		require.NoError(t, err)
		require.Equal(t, c.Position, a.position)
	}
	require.True(t, made(), "nothing is stored twice")
}

func TestAnAppendThatItsCallerGaveUpIsNotSent(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	far, near, proxy := behindProxy(t)
	proxy.Mute(faultproxy.Downstream)
	first := make(chan []appended, 1)
	go func() { first <- appendMany(t.Context(), far, named("first", 16), nothing) }()
	require.Eventually(t, func() bool {
		head, err := near.Head(t.Context())
		return err == nil && head == 16
	}, time.Minute, time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan []appended, 1)
	go func() { second <- appendMany(ctx, far, named("second", 10), nothing) }()
	cancel()
	for _, a := range <-second {
		require.Equal(t, domain.Unavailable, domain.KindOf(a.err))
		require.ErrorIs(t, a.err, context.Canceled)
	}
	proxy.Heal()
	for _, a := range <-first {
		require.NoError(t, a.err)
	}
	appendTo(t, far, 0, domain.IntegrationCreated{Integration: crm(1)}, "c1")
	head, err := near.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, uint64(17), head)
}

func TestTheLargestAcceptedEventFailsNoOther(t *testing.T) {
	nc := natstest.Connect(t)
	s := open(t, nc)
	create := func(name string, size int) error {
		i := crm(1)
		i.Name, i.ID, i.DisplayName = name, domain.NewID("acme", name), strings.Repeat("x", size)
		_, err := s.Append(t.Context(), "acme", i.ID, 0, domain.IntegrationCreated{Integration: i}, meta(name))
		return err
	}
	least := int(nc.MaxPayload()) - 2000
	largest := least + sort.Search(2000, func(more int) bool {
		return domain.KindOf(create(fmt.Sprintf("sought-%04d", more), least+more)) == domain.TooLarge
	}) - 1
	errs := make(chan error, 200)
	for n := range 200 {
		go func() {
			size := 1
			if n%20 == 7 {
				size = largest
			}
			errs <- create(fmt.Sprintf("sought-%04d", 3000+n), size)
		}()
	}
	for range 200 {
		require.NoError(t, <-errs)
	}
}

func TestAnObserverSeesEveryAppendAndEveryCommit(t *testing.T) {
	s := open(t, natstest.Connect(t))
	var mu sync.Mutex
	outcomes, commits, events := map[eventstore.AppendOutcome]int{}, 0, 0
	s.Observe(eventstore.Observer{
		Appended: func(took time.Duration, o eventstore.AppendOutcome) {
			mu.Lock()
			defer mu.Unlock()
			require.Positive(t, took)
			outcomes[o]++
		},
		Committed: func(n int) {
			mu.Lock()
			defer mu.Unlock()
			commits, events = commits+1, events+n
		},
	})
	appendMany(t.Context(), s, named("crm", 200), nothing)
	appendMany(t.Context(), s, named("other", 1), func(string) uint64 { return 1_000_000 }) // nothing is there
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Append(canceled, "acme", domain.NewID("acme", "late"), 0, domain.IntegrationCreated{Integration: crm(1)}, meta("late"))
	require.Error(t, err)
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, map[eventstore.AppendOutcome]int{eventstore.AppendOK: 200, eventstore.AppendConflict: 1, eventstore.AppendFailed: 1}, outcomes)
	require.Equal(t, 200, events)
	require.Less(t, commits, 200, "some are stored together")
}
