package webhooks_test

import (
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/webhooks"
)

// create records that an integration was made, and returns its position.
func (s *site) create(w domain.Workspace, name string) uint64 {
	s.Helper()
	i := domain.Integration{ID: domain.NewID(w, name), Workspace: w, Incarnation: 1, Version: 1, Name: name, Configuration: domain.Configuration{DisplayName: name}}
	at, err := s.events.Append(s.Context(), w, i.ID, 0, domain.IntegrationCreated{Integration: i}, domain.Metadata{CommandID: rand.Text(), At: time.Now().UTC()})
	require.NoError(s, err)
	return at
}

// The events of one workspace can't be dispatched, and are more than find room in
// memory. Others are delivered at once, and nothing is lost or delivered twice, whether the
// process goes on or another takes over.
func TestAWorkspaceWhoseEventsPileUpDelaysNoOther(t *testing.T) {
	t.Parallel()
	nc := natstest.Connect(t)
	var mu sync.Mutex
	blocked := true
	show := func(c *webhooks.Config) {
		plain := c.Show
		c.Show = func(e eventstore.Commit) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			if blocked && e.Workspace == "acme" {
				return nil, fmt.Errorf("not yet")
			}
			return plain(e)
		}
	}
	s := startOn(t, nc, &written{}, new(atomic.Int64), show)
	busy, quiet := listen(t, nil), listen(t, nil)
	s.destination(busy.url)
	_, _, err := s.hooks.Create(t.Context(), "quiet", domain.Document{"url": quiet.url})
	require.NoError(t, err)
	want := map[domain.ID][]uint64{}
	const integrations = 300
	for round := range 2 {
		for n := range integrations {
			id := domain.NewID("acme", fmt.Sprint("crm-", n))
			want[id] = append(want[id], s.change("acme", fmt.Sprint("crm-", n)))
		}
		s.create("quiet", fmt.Sprint("crm-", round))
		s.eventually("the quiet one is delivered", func() bool { return len(quiet.all()) == round+1 })
	}
	require.Empty(t, busy.all())
	s.stop()
	mu.Lock()
	blocked = false
	mu.Unlock()
	again := startOn(t, nc, &written{}, new(atomic.Int64), show)
	again.eventually("all are delivered", func() bool { return len(busy.all()) >= 2*integrations })
	again.nothingPending()
	require.Equal(t, want, busy.positions())
	require.Len(t, quiet.all(), 2)
}

// The stream of deliveries is another one, whose sequences start from 1.
func TestDeliveriesThatWerePassedOverAreFound(t *testing.T) {
	t.Parallel()
	s := startOn(t, natstest.Connect(t), &written{}, new(atomic.Int64), func(c *webhooks.Config) { c.Compare = 50 * time.Millisecond })
	r := listen(t, nil)
	s.destination(r.url)
	for range 5 {
		s.change("acme", "crm")
	}
	s.eventually("all are delivered", func() bool { return len(r.all()) == 5 })
	s.nothingPending()
	js, err := jetstream.New(s.nc)
	require.NoError(t, err)
	pending, err := js.Stream(t.Context(), "WEBHOOKS")
	require.NoError(t, err)
	config := pending.CachedInfo().Config
	require.NoError(t, js.DeleteStream(t.Context(), "WEBHOOKS"))
	_, err = js.CreateStream(t.Context(), config)
	require.NoError(t, err)
	for range 3 {
		s.change("acme", "crm")
	}
	s.eventually("those after it are delivered", func() bool { return len(r.all()) == 8 })
	s.nothingPending()
}
