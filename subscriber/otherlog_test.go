package subscriber_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/subscriber"
)

// The log becomes another one after position 3 while a subscriber follows it: what it
// has seen beyond that is of the log before.
func TestASubscriberContinuesWhereALogWasReplaced(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	l, got := newLog(t), make(chan uint64, 20)
	for range 5 {
		l.change("acme", "crm")
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- l.subscriber(subscriber.Config{Name: "kept"}).Run(ctx, subscriber.Changes("acme"), into(got))
	}()
	handed(t, got, 1, 2, 3, 4, 5)
	require.NoError(t, l.events.Begin(t.Context(), eventstore.Epoch{After: 3, Reason: eventstore.Loss}, 0, ""))
	handed(t, got, 4, 5)
	l.change("acme", "crm")
	handed(t, got, 6)
	end()
	require.NoError(t, <-ended)
	require.Empty(t, got)
}

// A program that keeps its position itself has to find out.
func TestAPositionOfAnotherLogEndsASubscriberWithoutAName(t *testing.T) {
	l, got := newLog(t), make(chan uint64, 20)
	for range 5 {
		l.change("acme", "crm")
	}
	beyond := l.subscriber(subscriber.Config{After: 700})
	require.ErrorIs(t, beyond.Run(t.Context(), subscriber.Changes("acme"), into(got)), subscriber.ErrOtherLog)

	s := l.subscriber(subscriber.Config{After: 3})
	first := s.LogID()
	ended := make(chan error)
	go func() { ended <- s.Run(t.Context(), subscriber.Changes("acme"), into(got)) }()
	handed(t, got, 4, 5)
	require.NoError(t, l.events.Begin(t.Context(), eventstore.Epoch{After: 3, Reason: eventstore.Loss}, 0, ""))
	require.ErrorIs(t, <-ended, subscriber.ErrOtherLog)
	require.ErrorIs(t, l.subscriber(subscriber.Config{After: 5, LogID: first}).Run(t.Context(), subscriber.Changes("acme"), into(got)), subscriber.ErrOtherLog)

	ctx, end := context.WithCancel(t.Context())
	go func() {
		ended <- l.subscriber(subscriber.Config{After: 3, LogID: first}).Run(ctx, subscriber.Changes("acme"), into(got))
	}()
	handed(t, got, 4, 5)
	end()
	require.NoError(t, <-ended)
}

func into(got chan<- uint64) func(context.Context, subscriber.Event) error {
	return func(_ context.Context, e subscriber.Event) error {
		got <- e.Position
		return nil
	}
}

// handed waits for positions, one after the other.
func handed(t *testing.T, got <-chan uint64, want ...uint64) {
	t.Helper()
	for _, position := range want {
		select {
		case at := <-got:
			require.Equal(t, position, at)
		case <-time.After(time.Minute):
			t.Fatalf("position %d is not handed over", position)
		}
	}
}
