package webhooks_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/webhooks"
)

func TestARestartLosesNothingAndSendsNothingTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := listen(t, func(http.ResponseWriter, received) int { return []int{200, 503}[time.Now().UnixNano()/1000%2] })
	want := map[domain.ID][]uint64{}
	last, at := map[domain.ID]domain.Integration{}, map[domain.ID]uint64{}
	for round := range 5 {
		nc, close := natstest.Start(t, dir)
		s := startOn(t, nc, &written{}, new(atomic.Int64), nil)
		s.last, s.at = last, at
		if round == 0 {
			s.destination(r.url)
		}
		if round < 4 {
			for range 10 {
				for _, name := range names(5) {
					want[domain.NewID("acme", name)] = append(want[domain.NewID("acme", name)], s.change("acme", name))
				}
			}
			before := len(r.all())
			s.eventually("some are delivered", func() bool { return len(r.all()) > before+5 })
		} else {
			s.eventually("all are delivered", func() bool { return len(r.all()) >= 200 })
			s.nothingPending()
		}
		s.stop()
		close()
	}
	require.Equal(t, want, r.positions())
}

func TestARepeatedDispatchSendsNothingTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := listen(t, nil)
	nc, end := natstest.Start(t, dir)
	s := startOn(t, nc, &written{}, new(atomic.Int64), nil)
	s.destination(r.url)
	for range 10 {
		s.change("acme", "crm")
	}
	s.eventually("all are delivered", func() bool { return len(r.all()) == 10 })
	s.stop()
	// As if the process had ended before the subscriber's position was kept; the
	// server forgets the ids of what was deleted when it ends.
	require.NoError(t, s.events.SavePosition(t.Context(), "webhooks.integrations._all._all", s.events.Lineage().ID(), 0))
	end()
	nc, end = natstest.Start(t, dir)
	defer end()
	again := startOn(t, nc, &written{}, new(atomic.Int64), nil)
	defer again.stop()
	again.last, again.at = s.last, s.at
	again.change("acme", "crm")
	s.eventually("the new one is delivered", func() bool { return len(r.all()) > 10 })
	again.nothingPending()
	require.Len(t, r.all(), 11)
}

func TestOfTwoProcessesOneDeliversAndTheOtherTakesOver(t *testing.T) {
	t.Parallel()
	nc := natstest.Connect(t)
	first := startOn(t, nc, &written{}, new(atomic.Int64), nil)
	second := startOn(t, nc, &written{}, new(atomic.Int64), nil)
	r := listen(t, nil)
	d, secret := first.destination(r.url)
	want := map[domain.ID][]uint64{}
	round := func() {
		for range 20 {
			for _, name := range names(4) {
				want[domain.NewID("acme", name)] = append(want[domain.NewID("acme", name)], first.change("acme", name))
			}
		}
	}
	round()
	first.eventually("half is delivered", func() bool { return len(r.all()) > 40 })
	idle := second
	if second.hooks.Count(webhooks.Delivered) > 0 {
		idle = first
	}
	require.Zero(t, idle.hooks.Count(webhooks.Delivered))
	for _, one := range []*site{first, second} {
		if one != idle {
			one.stop()
		}
	}
	round()
	idle.nothingPending()
	idle.eventually("all are delivered", func() bool { return len(r.all()) >= 160 })
	require.Equal(t, want, r.positions())
	require.True(t, r.all()[159].signedBy(t, secret))
	idle.eventually("the other took over", func() bool { return idle.hooks.Count(webhooks.Delivered) > 0 })

	_, err := idle.hooks.Update(t.Context(), "acme", d.ID, domain.Document{"enabled": false})
	require.NoError(t, err)
}

func TestDeliveryGoesOnAfterTheServerWasAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	address, end := natstest.ListenOn(t, dir, "127.0.0.1:0")
	nc := dial(t, address)
	s := startOn(t, nc, &written{}, new(atomic.Int64), nil)
	r := listen(t, nil)
	s.destination(r.url)
	s.change("acme", "crm")
	s.eventually("it is delivered", func() bool { return len(r.all()) == 1 })
	end()
	_, end = natstest.ListenOn(t, dir, address)
	t.Cleanup(end)
	s.eventually("the server is back", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.events.Head(ctx)
		return err == nil
	})
	s.change("acme", "crm")
	late, _ := s.destination(r.url)
	s.change("acme", "crm")
	s.eventually("all are delivered", func() bool { return len(r.all()) == 4 })
	s.eventually("the log has it", func() bool { return len(s.deliveries(late, webhooks.Delivered)) == 1 })
	t.Cleanup(s.stop)
}
