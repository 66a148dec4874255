package subscriber_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/subscriber"
)

// The log becomes another one after position 3 while two subscribers follow it: what
// they have seen beyond that is of the log before.
func TestASubscriberGoesOnWhereALogBecameAnother(t *testing.T) {
	for _, name := range []string{"", "kept"} {
		t.Run(name, func(t *testing.T) {
			l := newLog(t)
			for range 5 {
				l.change("acme", "crm")
			}
			s := l.subscriber(subscriber.Config{Name: name})
			got := make(chan uint64, 20)
			ctx, end := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() {
				ended <- s.Run(ctx, subscriber.Changes("acme"), func(_ context.Context, e subscriber.Event) error {
					got <- e.Position
					return nil
				})
			}()
			next := func(want ...uint64) {
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
			next(1, 2, 3, 4, 5)
			require.NoError(t, l.events.Begin(t.Context(), eventstore.Epoch{After: 3, Reason: eventstore.Loss}, 0, ""))
			next(4, 5)
			l.change("acme", "crm")
			next(6)
			end()
			require.NoError(t, <-ended)
			require.Empty(t, got)
		})
	}
}
