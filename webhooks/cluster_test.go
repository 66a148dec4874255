package webhooks_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// Each server of a cluster is away for a while, and each stream changes its leader
// under load. Every recorded event is delivered.
func TestAClusterInTroubleLosesNoWebhook(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	t.Parallel()
	c := natstest.NewCluster(t)
	addresses := ""
	for _, srv := range c.Servers {
		addresses += "nats://" + srv.Addr().String() + ","
	}
	nc, err := nats.Connect(addresses, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	s := startReplicated(t, nc, 3)
	r := listen(t, nil)
	s.destination(r.url)

	trouble, calm := context.WithCancel(t.Context())
	var load errgroup.Group
	var made atomic.Int64
	for k := range 4 {
		load.Go(func() error {
			for n := 0; trouble.Err() == nil; n++ {
				name := fmt.Sprint("crm-", k, "-", n)
				i := domain.Integration{ID: domain.NewID("acme", name), Workspace: "acme", Incarnation: 1, Version: 1, Name: name, Configuration: domain.Configuration{DisplayName: name}}
				if _, err := s.events.Append(t.Context(), "acme", i.ID, 0, domain.IntegrationCreated{Integration: i}, domain.Metadata{CommandID: rand.Text(), At: time.Now().UTC(), Actor: "key-1"}); err == nil {
					made.Add(1)
				}
			}
			return nil
		})
	}
	progress := func(by int64) {
		from := made.Load()
		// Elections on busy cores may be repeated many times.
		require.Eventually(t, func() bool { return made.Load() > from+by }, 5*time.Minute, 5*time.Millisecond)
	}
	for n := range c.Servers {
		progress(15)
		c.Stop(n)
		progress(15)
		for _, stream := range []string{"WEBHOOKS", "INTEGRATIONS", "KV_WEBHOOK_DESTINATIONS", "KV_SUBSCRIBERS"} {
			_, _ = nc.Request("$JS.API.STREAM.LEADER.STEPDOWN."+stream, nil, time.Second)
		}
		progress(15)
		c.Start(t, n)
	}
	progress(15)
	calm()
	require.NoError(t, load.Wait())
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	var head uint64
	s.eventually("the log answers", func() bool {
		log, err := js.Stream(t.Context(), "INTEGRATIONS")
		if err == nil {
			head = log.CachedInfo().State.LastSeq
		}
		return err == nil
	})
	state := "" // for who has to find out why it failed
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(state)
		}
	})
	require.Eventually(t, func() bool {
		count, _, err := s.hooks.Pending(t.Context())
		delivered := map[uint64]bool{}
		for _, g := range r.all() {
			delivered[g.Data.Position] = true
		}
		state = fmt.Sprintf("%d pending, %d of %d delivered, %v", count, len(delivered), head, err)
		return err == nil && count == 0 && uint64(len(delivered)) == head
	}, 5*time.Minute, 50*time.Millisecond, "every event is delivered")
	require.GreaterOrEqual(t, head, uint64(made.Load()))
}
