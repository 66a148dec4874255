package subscriber_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/subscriber"
)

var noon = time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)

// log is an event log that tests write to.
type log struct {
	*testing.T
	nc     *nats.Conn
	events *eventstore.Store
	last   map[domain.ID]uint64
}

func newLog(t *testing.T) *log {
	t.Helper()
	nc := natstest.Connect(t)
	events, err := eventstore.Open(t.Context(), nc, eventstore.Config{AllowLazySync: true})
	require.NoError(t, err)
	return &log{T: t, nc: nc, events: events, last: map[domain.ID]uint64{}}
}

// change appends an event of an integration, and returns its position.
func (l *log) change(w domain.Workspace, name string) uint64 {
	l.Helper()
	i := domain.Integration{ID: domain.NewID(w, name), Workspace: w, Name: name, Version: 1, Incarnation: 1, CreatedAt: noon, UpdatedAt: noon}
	var err error
	l.last[i.ID], err = l.events.Append(l.Context(), w, i.ID, l.last[i.ID], domain.IntegrationCreated{Integration: i},
		domain.Metadata{CommandID: fmt.Sprint(name, "-", l.last[i.ID]), At: noon, Actor: "key-1", Address: "192.0.2.7", RequestID: "req-1", TraceParent: "00-1-2-01"})
	require.NoError(l, err)
	return l.last[i.ID]
}

func (l *log) subscriber(c subscriber.Config) *subscriber.Subscriber {
	l.Helper()
	c.Log, c.Pause = slog.New(slog.DiscardHandler), subscriber.Pause{First: time.Millisecond, Longest: 5 * time.Millisecond}
	s, err := subscriber.Open(l.Context(), l.nc, c)
	require.NoError(l, err)
	return s
}

// run has handle called until it calls end.
func (l *log) run(s *subscriber.Subscriber, topic subscriber.Topic, handle func(e subscriber.Event, end func()) error) {
	l.Helper()
	ctx, end := context.WithCancel(l.Context())
	defer end()
	require.NoError(l, s.Run(ctx, topic, func(_ context.Context, e subscriber.Event) error { return handle(e, end) }))
}

// seen is what a handler has seen of each integration.
type seen struct {
	sync.Mutex
	of    map[domain.ID][]uint64
	count int
}

func (s *seen) add(e subscriber.Event) int {
	s.Lock()
	defer s.Unlock()
	if s.of == nil {
		s.of = map[domain.ID][]uint64{}
	}
	s.of[domain.ID(e.Integration)] = append(s.of[domain.ID(e.Integration)], e.Position)
	s.count++
	return s.count
}

func TestEveryEventIsHandledInOrderThoughHandlersFail(t *testing.T) {
	l := newLog(t)
	want := map[domain.ID][]uint64{}
	for n := range 400 {
		name := fmt.Sprintf("crm-%d", n%7)
		want[domain.NewID("acme", name)] = append(want[domain.NewID("acme", name)], l.change("acme", name))
		l.change("other", name)
	}
	var got seen
	l.run(l.subscriber(subscriber.Config{}), subscriber.Changes("acme"), func(e subscriber.Event, end func()) error {
		if rand.IntN(4) == 0 {
			return errors.New("by chance")
		}
		if got.add(e) == 400 {
			end()
		}
		return nil
	})
	require.Equal(t, want, got.of)
}

func TestAFailingEventBlocksOnlyItsIntegration(t *testing.T) {
	l := newLog(t)
	for range 3 {
		l.change("acme", "broken")
	}
	for n := range 100 {
		l.change("acme", fmt.Sprint("fine-", n))
	}
	var got seen
	l.run(l.subscriber(subscriber.Config{Concurrency: 2}), subscriber.Changes(""), func(e subscriber.Event, end func()) error {
		if e.Integration == string(domain.NewID("acme", "broken")) {
			return errors.New("still broken")
		}
		if got.add(e) == 100 {
			end()
		}
		return nil
	})
	require.Len(t, got.of, 100)
}

func TestOneAtATimeIsInLogOrder(t *testing.T) {
	l := newLog(t)
	for n := range 50 {
		l.change("acme", fmt.Sprint("crm-", n%5))
	}
	var got []uint64
	l.run(l.subscriber(subscriber.Config{Concurrency: 1}), subscriber.Changes("acme"), func(e subscriber.Event, end func()) error {
		if got = append(got, e.Position); len(got) == 50 {
			end()
		}
		return nil
	})
	require.True(t, slices.IsSorted(got))
}

func TestANamedSubscriberContinuesWhereItWas(t *testing.T) {
	l := newLog(t)
	var all seen
	for round := range 3 {
		for n := range 20 {
			l.change("acme", fmt.Sprint("crm-", n))
		}
		s := l.subscriber(subscriber.Config{Name: "crm-sync"})
		l.run(s, subscriber.Changes("acme"), func(e subscriber.Event, end func()) error {
			if all.add(e) == 20*(round+1) {
				end()
			}
			return nil
		})
	}
	require.Equal(t, 60, all.count, "none twice, none missed: each run ended well")
}

func TestOneOfTwoSubscribersWithOneNameReads(t *testing.T) {
	l := newLog(t)
	var got seen
	first, second := l.subscriber(subscriber.Config{Name: "crm-sync"}), l.subscriber(subscriber.Config{Name: "crm-sync"})
	ctx, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	reached := make(chan struct{})
	for _, s := range []*subscriber.Subscriber{first, second} {
		running.Go(func() {
			_ = s.Run(ctx, subscriber.Changes("acme"), func(_ context.Context, e subscriber.Event) error {
				if got.add(e) == 100 {
					close(reached)
				}
				return nil
			})
		})
	}
	for n := range 100 {
		l.change("acme", fmt.Sprint("crm-", n))
	}
	<-reached
	end()
	running.Wait()
	require.Equal(t, 100, got.count)
}

func TestASubscriberEndsWithItsConnection(t *testing.T) {
	for _, name := range []string{"", "crm-sync"} {
		address, end := natstest.ListenOn(t, t.TempDir(), "127.0.0.1:0")
		t.Cleanup(end)
		connect := func() *nats.Conn {
			nc, err := nats.Connect(address)
			require.NoError(t, err)
			t.Cleanup(nc.Close)
			return nc
		}
		events, err := eventstore.Open(t.Context(), connect(), eventstore.Config{AllowLazySync: true})
		require.NoError(t, err)
		l := &log{T: t, events: events, last: map[domain.ID]uint64{}}
		nc := connect()
		s, err := subscriber.Open(t.Context(), nc, subscriber.Config{Name: name, Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		first := make(chan struct{}, 100)
		ended := make(chan error, 1)
		go func() {
			ended <- s.Run(t.Context(), subscriber.Changes("acme"), func(context.Context, subscriber.Event) error {
				first <- struct{}{}
				return nil
			})
		}()
		l.change("acme", "crm")
		<-first
		nc.Close()
		require.ErrorIs(t, <-ended, nats.ErrConnectionClosed, name)
	}
}

func TestASubscriberStartsAtItsConfiguredPosition(t *testing.T) {
	l := newLog(t)
	l.change("acme", "crm")
	second := l.change("acme", "crm")
	third := l.change("acme", "crm")
	for name, c := range map[string]struct {
		config subscriber.Config
		first  uint64
	}{
		"after a position": {subscriber.Config{After: second}, third},
		"from now":         {subscriber.Config{FromNow: true, Name: "from-now"}, third + 1},
		"from the start":   {subscriber.Config{Name: "from-the-start"}, 1},
	} {
		s := l.subscriber(c.config)
		ctx, end := context.WithCancel(t.Context())
		first := make(chan uint64, 1000)
		go func() {
			_ = s.Run(ctx, subscriber.Changes("acme"), func(_ context.Context, e subscriber.Event) error { first <- e.Position; return nil })
		}()
		if c.config.FromNow { // it has to stand somewhere before there can be something new
			require.Eventually(t, func() bool {
				_, known, err := l.events.Position(t.Context(), "from-now.integrations.acme._all")
				return err == nil && known
			}, time.Minute, 5*time.Millisecond)
			l.change("acme", "crm")
		}
		require.Equal(t, c.first, <-first, name)
		end()
	}
}

func TestProbeResultsAreATopic(t *testing.T) {
	l := newLog(t)
	probed := domain.IntegrationProbed{ID: domain.NewID("acme", "crm"), Workspace: "acme", Incarnation: 1, Probe: domain.Probe{Status: domain.Healthy, At: noon}}
	_, err := l.events.RecordProbe(t.Context(), 0, probed, domain.Metadata{CommandID: "c1", At: noon})
	require.NoError(t, err)
	l.run(l.subscriber(subscriber.Config{}), subscriber.Probes("acme"), func(e subscriber.Event, end func()) error {
		require.Equal(t, probed, e.Event)
		end()
		return nil
	})
}

func TestAnInvalidTopicIsRefused(t *testing.T) {
	s := newLog(t).subscriber(subscriber.Config{})
	for _, topic := range []subscriber.Topic{"", "integrations", "calls.acme.*", "integrations.a b.*", "integrations.acme.crm", "integrations.acme.*.*"} {
		require.ErrorContains(t, s.Run(t.Context(), topic, nil), "topic", topic)
		_, err := s.Subscribe(t.Context(), string(topic))
		require.ErrorContains(t, err, "topic", topic)
	}
}
