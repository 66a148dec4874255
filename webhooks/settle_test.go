package webhooks_test

import (
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// One integration's webhooks fail, so what is settled behind them can't be removed
// together with what is before.
func TestWebhooksBehindOneThatFailsAreRemovedAndStaySettledOverARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var well atomic.Bool
	stuck := domain.NewID("acme", "stuck")
	r := listen(t, func(_ http.ResponseWriter, got received) int {
		if got.Data.IntegrationID == stuck && !well.Load() {
			return http.StatusServiceUnavailable
		}
		return http.StatusNoContent
	})
	nc, end := natstest.Start(t, dir)
	s := startOn(t, nc, &written{}, new(atomic.Int64), nil)
	s.destination(r.url)
	s.change("acme", "stuck")
	for range 20 {
		for _, name := range names(20) {
			s.change("acme", name)
		}
	}
	s.eventually("all others are delivered", func() bool { return len(r.all()) == 400 })
	s.stop()
	end()

	nc, end = natstest.Start(t, dir)
	t.Cleanup(end)
	again := startOn(t, nc, &written{}, new(atomic.Int64), nil)
	t.Cleanup(again.stop)
	again.eventually("one is pending", func() bool {
		count, _, err := again.hooks.Pending(t.Context())
		return err == nil && count == 1
	})
	well.Store(true)
	again.nothingPending()
	require.Len(t, r.all(), 401)
	require.Equal(t, stuck, r.all()[400].Data.IntegrationID)
}

func TestAStreamThatTakesThePlaceOfAnotherLosesNoWebhook(t *testing.T) {
	t.Parallel()
	s := start(t)
	var well atomic.Bool
	well.Store(true)
	stuck := domain.NewID("acme", "stuck")
	r := listen(t, func(_ http.ResponseWriter, got received) int {
		if got.Data.IntegrationID == stuck && !well.Load() {
			return http.StatusServiceUnavailable
		}
		return http.StatusNoContent
	})
	s.destination(r.url)
	round := func() {
		for range 10 {
			for _, name := range names(20) {
				s.change("acme", name)
			}
		}
	}
	round()
	s.eventually("all are delivered", func() bool { return len(r.all()) == 200 })
	s.nothingPending()
	js, err := jetstream.New(s.nc)
	require.NoError(t, err)
	old, err := js.Stream(t.Context(), "WEBHOOKS")
	require.NoError(t, err)
	require.NoError(t, js.DeleteStream(t.Context(), "WEBHOOKS"))
	_, err = js.CreateStream(t.Context(), old.CachedInfo().Config)
	require.NoError(t, err)

	well.Store(false)
	s.change("acme", "stuck")
	round()
	s.eventually("all others are delivered", func() bool { return len(r.all()) == 400 })
	s.eventually("one is pending", func() bool {
		count, _, err := s.hooks.Pending(t.Context())
		return err == nil && count == 1
	})
	well.Store(true)
	s.nothingPending()
	require.True(t, slices.ContainsFunc(r.all(), func(got received) bool { return got.Data.IntegrationID == stuck }))
}
