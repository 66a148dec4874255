package webhooks_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/webhooks"
)

// patient makes the pauses those of a service.
func patient(c *webhooks.Config) { c.First, c.Longest = 5*time.Second, time.Hour }

// mended has what waits to be tried again tried now.
func (s *site) mended(d domain.WebhookDestination) {
	s.Helper()
	_, err := s.hooks.Update(s.Context(), "acme", d.ID, domain.Document{"description": time.Now().String()})
	require.NoError(s, err)
}

// failed returns the attempts at the webhook about a position that failed, first
// to last, once there are as many.
func (s *site) failed(d domain.WebhookDestination, position uint64, count int) (all []webhooks.Delivery) {
	s.Helper()
	s.eventually("it was tried", func() bool {
		all = nil
		for _, one := range s.deliveries(d, webhooks.Failed) {
			if one.Position == position {
				all = append([]webhooks.Delivery{one}, all...)
			}
		}
		return len(all) >= count
	})
	return all
}

func TestThePauseAfterAFailureCountsAttemptsNotTheAgeOfTheEvent(t *testing.T) {
	t.Parallel()
	s := startOn(t, natstest.Connect(t), &written{}, new(atomic.Int64), patient)
	r := listen(t, status(http.StatusServiceUnavailable))
	d, _ := s.destination(r.url)
	first, second := s.change("acme", "crm"), s.change("acme", "crm")
	s.failed(d, first, 1)
	s.later.Store(int64(10 * time.Hour)) // the second waits behind the first for as long
	var failing atomic.Bool
	r.set(func(_ http.ResponseWriter, g received) int {
		if g.Data.Position == second && !failing.Swap(true) {
			return http.StatusServiceUnavailable
		}
		return http.StatusNoContent
	})
	s.mended(d)
	once := s.failed(d, second, 1)[0]
	require.Equal(t, 1, once.Attempt)
	require.InDelta(t, 5*time.Second, once.NextAt.Sub(once.At), float64(time.Second))
	s.mended(d)
	s.nothingPending()
}

func TestThePausesGoOnWhereTheyWereAfterARestart(t *testing.T) {
	t.Parallel()
	nc := natstest.Connect(t)
	s := startOn(t, nc, &written{}, new(atomic.Int64), patient)
	r := listen(t, status(http.StatusServiceUnavailable))
	d, _ := s.destination(r.url)
	at := s.change("acme", "crm")
	for n := range 3 {
		attempts := s.failed(d, at, n+1)
		require.InDelta(t, 5*time.Second<<n, attempts[n].NextAt.Sub(attempts[n].At), float64(5*time.Second<<n)/10+1, "the pause doubles, give or take a tenth")
		if n < 2 {
			s.mended(d)
		}
	}
	s.stop()
	again := startOn(t, nc, &written{}, new(atomic.Int64), patient)
	var fourth webhooks.Delivery
	again.eventually("it was tried", func() bool { // once that process has taken over
		again.mended(d)
		attempts := again.failed(d, at, 3)
		if len(attempts) > 3 {
			fourth = attempts[3]
		}
		return len(attempts) > 3
	})
	require.Equal(t, 4, fourth.Attempt)
	require.InDelta(t, 40*time.Second, fourth.NextAt.Sub(fourth.At), float64(4*time.Second)+1)
	r.set(nil)
	again.eventually("it is delivered", func() bool {
		again.mended(d)
		return len(r.all()) == 1
	})
	again.nothingPending()
}

func TestAReceiverThatAsksForTimeIsGivenItUpToAnHour(t *testing.T) {
	t.Parallel()
	const slack = 20 * time.Second // between the answer and its being noted, on a busy machine
	for _, c := range []struct {
		name  string
		asked func() string // when the answer is made
		want  time.Duration
	}{
		{"seconds", func() string { return "70" }, 70 * time.Second},
		{"too many", func() string { return "90000" }, time.Hour},
		{"a date", func() string { return time.Now().Add(30 * time.Minute).UTC().Format(http.TimeFormat) }, 30 * time.Minute},
		{"no time", func() string { return "soon" }, time.Millisecond},
	} {
		s := startOn(t, natstest.Connect(t), &written{}, new(atomic.Int64), func(c *webhooks.Config) { c.Longest = time.Hour })
		r := listen(t, func(w http.ResponseWriter, _ received) int { w.Header().Set("Retry-After", c.asked()); return 429 })
		d, _ := s.destination(r.url)
		s.change("acme", "crm")
		s.eventually("it was tried", func() bool { return len(s.deliveries(d, webhooks.Failed)) > 0 })
		first := s.deliveries(d, webhooks.Failed)
		got := first[len(first)-1]
		require.InDelta(t, c.want, got.NextAt.Sub(got.At), float64(slack), c.name)

		r.set(nil) // a change of the destination does not wait
		if c.want > time.Second {
			_, err := s.hooks.Update(t.Context(), "acme", d.ID, domain.Document{"description": "mended"})
			require.NoError(t, err)
		}
		s.nothingPending()
		require.Len(t, r.all(), 1)
		s.stop()
	}
}
