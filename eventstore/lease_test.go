package eventstore_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
)

func TestOneProcessLeadsAndAnotherTakesOver(t *testing.T) {
	t.Parallel()
	nc := natstest.Connect(t)
	first, second := open(t, nc), open(t, nc)
	var leading atomic.Int32
	led := make(chan string, 2)
	lead := func(s *eventstore.Store, who string) (end func()) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- s.Lead(ctx, "projector", func(ctx context.Context) error {
				if leading.Add(1) != 1 {
					t.Error("two lead at once")
				}
				defer leading.Add(-1)
				led <- who
				<-ctx.Done()
				return nil
			})
		}()
		return func() { cancel(); require.NoError(t, <-ended) }
	}
	end := lead(first, "first")
	require.Equal(t, "first", <-led)
	defer lead(second, "second")()
	end()
	require.Equal(t, "second", <-led)
}

func TestLosingTheLeaseEndsTheWork(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	t.Parallel()
	nc := natstest.Connect(t)
	s := open(t, nc)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	leases, err := js.KeyValue(t.Context(), "LEASES")
	require.NoError(t, err)
	began, over := make(chan struct{}, 8), make(chan struct{}, 8)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- s.Lead(ctx, "projector", func(ctx context.Context) error {
			began <- struct{}{}
			<-ctx.Done()
			over <- struct{}{}
			return nil
		})
	}()
	<-began
	_, err = leases.Put(t.Context(), "projector", nil) // as a process does that saw it expire
	require.NoError(t, err)
	<-over
	<-began // it leads again once the other's lease has expired
	cancel()
	require.NoError(t, <-ended)
}

func TestTheErrorOfTheWorkIsReturnedAndTheLeaseReleased(t *testing.T) {
	nc := natstest.Connect(t)
	s := open(t, nc)
	broken := errors.New("broken")
	require.ErrorIs(t, s.Lead(t.Context(), "projector", func(context.Context) error { return broken }), broken)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	leases, err := js.KeyValue(t.Context(), "LEASES")
	require.NoError(t, err)
	_, err = leases.Get(t.Context(), "projector")
	require.ErrorIs(t, err, jetstream.ErrKeyNotFound)
}

func TestABucketKeepsTheConfigurationOfItsOperator(t *testing.T) {
	nc := natstest.Connect(t)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "SUBSCRIBERS", Description: "three copies", History: 5})
	require.NoError(t, err)
	open(t, nc) // as a tool does that doesn't know about the replicas
	stream, err := js.Stream(t.Context(), "KV_SUBSCRIBERS")
	require.NoError(t, err)
	require.Equal(t, "three copies", stream.CachedInfo().Config.Description)
	require.EqualValues(t, 5, stream.CachedInfo().Config.MaxMsgsPerSubject)
}

func TestALeaseNameThatIsNoKeyIsAnError(t *testing.T) {
	t.Parallel()
	s := open(t, natstest.Connect(t))
	for _, name := range []string{"projector-prod:eu", "a b", ".a", "a."} {
		err := s.Lead(t.Context(), name, func(context.Context) error { return nil })
		require.ErrorIs(t, err, jetstream.ErrInvalidKey, name)
	}
}
