package webhooks_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/webhooks"
)

func TestAReceiverThatWasDownGetsEverythingOnceAndInOrderWhileOthersFlow(t *testing.T) {
	t.Parallel()
	s := start(t)
	down, up := listen(t, nil), listen(t, nil)
	d, _ := s.destination(down.url)
	s.destination(up.url)
	down.srv.Close() // connections are refused
	want := map[domain.ID][]uint64{}
	for range 5 {
		for _, name := range names(6) {
			want[domain.NewID("acme", name)] = append(want[domain.NewID("acme", name)], s.change("acme", name))
		}
	}
	s.eventually("the other destination has all", func() bool { return len(up.all()) == 30 })
	require.Equal(t, want, up.positions())
	s.eventually("it was tried", func() bool { return len(s.deliveries(d, webhooks.Failed)) > 20 })
	require.Empty(t, down.all())

	down.set(status(http.StatusInternalServerError))
	down.open(t, down.address)
	s.eventually("it was tried again", func() bool { return down.attempts() > 20 })
	require.Empty(t, down.all())
	down.set(nil)
	s.nothingPending()
	require.Equal(t, want, down.positions())
	ids := map[string]bool{}
	for _, g := range down.all() {
		require.False(t, ids[g.header.Get("webhook-id")])
		ids[g.header.Get("webhook-id")] = true
	}
	failed := s.deliveries(d, webhooks.Failed)
	require.False(t, failed[0].NextAt.IsZero())
	require.Equal(t, domain.CallUpstreamError, failed[0].Code)
	require.Greater(t, failed[0].Attempt, 1)
	s.eventually("the log has all", func() bool { return len(s.deliveries(d, webhooks.Delivered)) == 30 })
}

func TestAnEventThatIsRefusedHoldsUpItsIntegrationOnly(t *testing.T) {
	t.Parallel()
	s := start(t)
	bad := domain.NewID("acme", "bad")
	r := listen(t, func(_ http.ResponseWriter, g received) int {
		if g.Data.IntegrationID == bad {
			return http.StatusBadRequest
		}
		return http.StatusOK
	})
	s.destination(r.url)
	first, second := s.change("acme", "bad"), s.change("acme", "bad")
	for range 20 {
		s.change("acme", "good")
	}
	s.eventually("the other flows", func() bool { return len(r.positions()[domain.NewID("acme", "good")]) == 20 })
	require.Empty(t, r.positions()[bad])
	r.set(nil)
	s.nothingPending()
	require.Equal(t, []uint64{first, second}, r.positions()[bad])
}

func TestASlowReceiverCostsItselfOnlyAndIsNotFlooded(t *testing.T) {
	t.Parallel()
	s := start(t)
	hold, let := context.WithCancel(t.Context())
	slow := listen(t, func(http.ResponseWriter, received) int { <-hold.Done(); return 200 })
	t.Cleanup(let)
	fast := listen(t, nil)
	s.destination(slow.url)
	s.destination(fast.url)
	for _, name := range names(30) {
		s.change("acme", name)
	}
	s.eventually("the fast one has all", func() bool { return len(fast.all()) == 30 })
	s.eventually("the slow one has its fill", func() bool { return slow.attempts() == 8 })
	require.Empty(t, slow.all())
	let()
	s.nothingPending()
	require.Len(t, slow.all(), 30)
	require.Equal(t, 8, slow.busiest)
}

func TestADestinationBoundsHowOftenAWebhookIsSentAgain(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := listen(t, status(http.StatusInternalServerError))
	d, _, err := s.hooks.Create(t.Context(), "acme", domain.Document{"url": r.url, "retry_attempts": json.Number("2")})
	require.NoError(t, err)
	s.change("acme", "crm")
	s.eventually("it is dead", func() bool { return len(s.deliveries(d, webhooks.Dead)) == 1 })
	s.nothingPending()
	require.Equal(t, 3, r.attempts(), "once, and twice again")
	require.Equal(t, 3, s.deliveries(d, webhooks.Dead)[0].Attempt)
}

func TestWhatCanNotBeDeliveredInADayIsDeadAndCanBeSentAgain(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := listen(t, status(http.StatusInternalServerError))
	d, secret := s.destination(r.url)
	first := s.change("acme", "crm")
	s.eventually("it was tried", func() bool { return r.attempts() > 3 })
	require.Empty(t, s.deliveries(d, webhooks.Dead))
	failed := s.deliveries(d, webhooks.Failed)
	require.Equal(t, "delivery_pending", codeOf(s.hooks.Redeliver(t.Context(), "acme", d.ID, failed[0].ID)))

	s.later.Store(int64(23 * time.Hour))
	tried := r.attempts()
	s.eventually("it goes on for a day", func() bool { return r.attempts() > tried+3 })
	require.Empty(t, s.deliveries(d, webhooks.Dead))
	s.later.Store(int64(24 * time.Hour))
	s.eventually("it is dead", func() bool { return len(s.deliveries(d, webhooks.Dead)) == 1 })
	s.nothingPending()
	dead := s.deliveries(d, webhooks.Dead)[0]
	require.Equal(t, first, dead.Position)
	require.Equal(t, "The receiver answered 500 Internal Server Error.", dead.Problem)
	s.eventually("it is counted", func() bool { return s.hooks.Count(webhooks.Dead) == 1 })
	letters, err := s.hooks.DeadLetters(t.Context())
	require.NoError(t, err)
	require.Equal(t, uint64(1), letters)

	r.set(nil)
	second := s.change("acme", "crm")
	s.eventually("the next one is delivered", func() bool { return len(r.all()) == 1 })
	require.NoError(t, s.hooks.Redeliver(t.Context(), "acme", d.ID, dead.ID))
	s.eventually("it is delivered", func() bool { return len(r.all()) == 2 })
	s.nothingPending()
	require.Equal(t, []uint64{second, first}, r.positions()[domain.NewID("acme", "crm")])
	require.Equal(t, dead.ID, r.all()[1].header.Get("webhook-id"))
	require.True(t, r.all()[1].signedBy(t, secret))
	require.Empty(t, s.deliveries(d, webhooks.Dead))

	// What was delivered can be sent again as well.
	s.eventually("the log has it", func() bool { return len(s.deliveries(d, webhooks.Delivered)) == 2 })
	require.NoError(t, s.hooks.Redeliver(t.Context(), "acme", d.ID, dead.ID))
	s.eventually("it is sent again", func() bool { return len(r.all()) == 3 })
	require.Equal(t, "delivery_not_found", codeOf(s.hooks.Redeliver(t.Context(), "acme", d.ID, "msg_c9_other")))
	require.Equal(t, "webhook_destination_not_found", codeOf(s.hooks.Redeliver(t.Context(), "other", d.ID, dead.ID)))
}

func TestADeadLetterMayBeSentAgainByManyAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := listen(t, status(http.StatusInternalServerError))
	d, _ := s.destination(r.url)
	s.change("acme", "crm")
	s.eventually("it was tried", func() bool { return r.attempts() > 0 })
	s.later.Store(int64(24 * time.Hour))
	s.eventually("it is dead", func() bool { return len(s.deliveries(d, webhooks.Dead)) == 1 })
	s.nothingPending()
	dead := s.deliveries(d, webhooks.Dead)[0]
	r.set(nil)
	var again sync.WaitGroup
	for range 8 {
		again.Go(func() {
			if err := s.hooks.Redeliver(t.Context(), "acme", d.ID, dead.ID); err != nil {
				assert.Contains(t, []string{"delivery_pending", "delivery_not_found"}, codeOf(err), err)
			}
		})
	}
	again.Wait()
	s.eventually("it is delivered", func() bool { return len(r.all()) > 0 })
	require.Empty(t, s.deliveries(d, webhooks.Dead))
	s.nothingPending()
}

func TestADeliveryThatSomebodyDeletedHoldsUpNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	hold, let := context.WithCancel(t.Context())
	r := listen(t, func(http.ResponseWriter, received) int { <-hold.Done(); return 200 })
	t.Cleanup(let)
	s.destination(r.url)
	first := s.change("acme", "crm")
	s.eventually("it is being made", func() bool { return r.attempts() == 1 })
	js, err := jetstream.New(s.nc)
	require.NoError(t, err)
	pending, err := js.Stream(t.Context(), "WEBHOOKS")
	require.NoError(t, err)
	require.NoError(t, pending.DeleteMsg(t.Context(), pending.CachedInfo().State.LastSeq))
	second := s.change("acme", "crm")
	let()
	s.eventually("both are delivered", func() bool { return len(r.all()) == 2 })
	require.Equal(t, []uint64{first, second}, r.positions()[domain.NewID("acme", "crm")])
	s.nothingPending()
}

func TestADestinationThatSaysItIsGoneIsDisabledAndWhatWaitsIsKept(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := listen(t, status(http.StatusGone))
	d, _ := s.destination(r.url)
	waits := s.change("acme", "crm")
	s.eventually("it is disabled", func() bool { got, err := s.hooks.Get(t.Context(), "acme", d.ID); return err == nil && !got.Enabled })
	got, err := s.hooks.Get(t.Context(), "acme", d.ID)
	require.NoError(t, err)
	require.Equal(t, "The receiver answered 410 Gone.", got.DisabledReason)
	other := listen(t, nil)
	s.destination(other.url)
	s.change("acme", "while-disabled")
	s.eventually("others are delivered", func() bool { return len(other.all()) == 1 })
	require.Equal(t, 1, r.attempts())

	r.set(nil)
	_, err = s.hooks.Update(t.Context(), "acme", d.ID, domain.Document{"enabled": true})
	require.NoError(t, err)
	s.nothingPending()
	require.Equal(t, map[domain.ID][]uint64{domain.NewID("acme", "crm"): {waits}}, r.positions())
}

func TestABlockedDestinationIsNeverDialledAndNoRedirectIsFollowed(t *testing.T) {
	t.Parallel()
	s := start(t)
	own, elsewhere := listen(t, nil), listen(t, nil)
	s.outside.DenyListener(netip.MustParseAddrPort(own.address))
	away := listen(t, func(w http.ResponseWriter, _ received) int {
		w.Header().Set("Location", elsewhere.url)
		return http.StatusTemporaryRedirect
	})
	for url, want := range map[string]domain.ErrorCode{
		"http://169.254.169.254/latest": domain.CallBlockedDestination, own.url: domain.CallBlockedDestination, "http://10.0.0.1/": domain.CallBlockedDestination,
		away.url: domain.CallUpstreamError,
	} {
		d, _ := s.destination(url)
		tested, err := s.hooks.Test(t.Context(), "acme", d.ID)
		require.NoError(t, err)
		require.Equal(t, want, tested.Code, url)
		require.Equal(t, webhooks.Failed, tested.Status)
		require.True(t, tested.NextAt.IsZero())
		s.change("acme", "crm")
		s.eventually("it was tried", func() bool { return len(s.deliveries(d, webhooks.Failed)) > 2 })
		require.Equal(t, want, s.deliveries(d, webhooks.Failed)[0].Code, url)
		require.NoError(t, s.hooks.Delete(t.Context(), "acme", d.ID))
	}
	require.Zero(t, own.attempts())
	require.Zero(t, elsewhere.attempts())
	s.nothingPending()
}

func TestADeletedDestinationGetsNothingMore(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := listen(t, status(http.StatusInternalServerError))
	d, _ := s.destination(r.url)
	for range 5 {
		s.change("acme", "crm")
	}
	s.eventually("it was tried", func() bool { return r.attempts() > 3 })
	require.NoError(t, s.hooks.Delete(t.Context(), "acme", d.ID))
	s.nothingPending()
	r.set(nil)
	_, err := s.hooks.Get(t.Context(), "acme", d.ID)
	require.Equal(t, "webhook_destination_not_found", codeOf(err))
	again := listen(t, nil)
	s.destination(again.url)
	s.change("acme", "crm")
	s.eventually("others go on", func() bool { return len(again.all()) == 1 })
	require.LessOrEqual(t, len(r.all()), 1, "but for the attempt that was being made")
}

func TestWhatWaitsForADeletedDestinationIsDroppedInQuiet(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := listen(t, status(http.StatusInternalServerError))
	d, _ := s.destination(r.url)
	for _, name := range names(8) {
		s.change("acme", name)
		s.change("acme", name)
	}
	s.eventually("each was tried", func() bool {
		tried := map[domain.ID]bool{}
		for _, failed := range s.deliveries(d, webhooks.Failed) {
			tried[failed.Integration] = true
		}
		return len(tried) == 8
	})
	require.NoError(t, s.hooks.Delete(t.Context(), "acme", d.ID))
	js, err := jetstream.New(s.nc)
	require.NoError(t, err)
	for _, name := range names(8) { // from a process that had not heard of it
		_, err := js.Publish(t.Context(), "webhooks.acme."+d.ID+"."+string(domain.NewID("acme", name)), []byte("{}"))
		require.NoError(t, err)
	}
	s.nothingPending()
	require.NotContains(t, s.log.String(), "an operation on webhooks failed")
}
