package eventstore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/internal/powercut"
)

// The tests of powercut show what a server loses that doesn't sync.
func TestBatchedAppendsSurviveAPowerCut(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	const writers, rounds = 128, 3
	disk := powercut.New(t)
	server := natstest.Spawn(t, disk.Dir(), true)
	connect := func() (*nats.Conn, *eventstore.Store) {
		nc, err := nats.Connect(server.URL)
		require.NoError(t, err)
		return nc, openFor(t, nc, 5*time.Second)
	}
	acknowledged := map[domain.ID]uint64{}
	nc, s := connect()
	for round := range rounds {
		var mu sync.Mutex
		var writing sync.WaitGroup
		made := 0
		ctx, stop := context.WithCancel(t.Context())
		for writer := range writers {
			writing.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					out := appendMany(ctx, s, []string{fmt.Sprintf("crm-%d-%d-%d", round, writer, n)}, nothing)
					mu.Lock()
					if out[0].err == nil {
						acknowledged[out[0].id] = out[0].position
						made++
					}
					mu.Unlock()
				}
			})
		}
		enough := writers * (3 + rand.IntN(10)) // each has written some and is still writing
		require.Eventually(t, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return made >= enough
		}, time.Minute, time.Millisecond)
		disk.Cut(server.Running())
		server.Kill()
		stop()
		nc.Close() // so that no append waits for an answer
		writing.Wait()
		disk.Mount()
		server.Start()
		nc, s = connect()
		for id, position := range acknowledged {
			c, err := s.Load(t.Context(), "acme", id)
			require.NoError(t, err)
			require.Equal(t, position, c.Position, "it was acknowledged")
		}
	}
	head, err := s.Head(t.Context())
	require.NoError(t, err)
	together := batched(t, nc, head)
	nc.Close()
	t.Logf("%d power cuts, %d appends acknowledged, none lost; %d came in a batch", rounds, len(acknowledged), together)
	require.Positive(t, together)
}
