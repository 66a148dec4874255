package ratelimit_test

import (
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/internal/ratelimit"
)

var (
	key   = ratelimit.Subject{Kind: "read", Name: "key_1"}
	start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

// drain takes what there is, and returns how much that was.
func drain(l *ratelimit.Limiter, of ratelimit.Subject, now time.Time) (n int) {
	for {
		if _, allowed, _ := l.Take(of, now); !allowed {
			return n
		}
		n++
	}
}

func TestWhatOneProcessTakesTheOthersTakeToo(t *testing.T) {
	one, other := ratelimit.New(map[string]float64{"read": 10}), ratelimit.New(map[string]float64{"read": 10})
	for range 15 {
		_, allowed, limited := one.Take(key, start)
		require.True(t, allowed && limited)
	}
	uses := one.Uses()
	require.Equal(t, []ratelimit.Use{{Kind: "read", Name: "key_1", Taken: 15}}, uses)
	require.Empty(t, one.Uses(), "each is reported once")
	other.Spend(uses, start)
	require.Equal(t, 5, drain(other, key, start))
	require.Equal(t, 20, drain(other, ratelimit.Subject{Kind: "read", Name: "key_2"}, start), "nobody else's")
	other.Spend(uses, start)
	state, allowed, _ := other.Take(key, start)
	require.False(t, allowed)
	require.InDelta(t, -15, state.Left, 0.01)
	require.Equal(t, 5, drain(other, key, start.Add(2*time.Second)), "both rates are one")
}

func TestAReportHoweverWrongStopsNobodyForLong(t *testing.T) {
	l := ratelimit.New(map[string]float64{"read": 10})
	for range 1000 {
		l.Spend([]ratelimit.Use{{"read", "key_1", 1 << 40}, {"read", "key_1", -1 << 40}, {"other", "key_1", 1}}, start)
	}
	require.Zero(t, drain(l, key, start))
	require.NotZero(t, drain(l, key, start.Add(2200*time.Millisecond)))
}

func TestAKindWithoutARateIsNotLimited(t *testing.T) {
	l := ratelimit.New(map[string]float64{"read": 0})
	_, allowed, limited := l.Take(key, start)
	require.True(t, allowed)
	require.False(t, limited)
	require.True(t, l.Wait(t.Context(), key, start, 0))
	require.Empty(t, l.Uses())
}

func TestACallWaitsForItsTurnUpToALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.New(map[string]float64{"host": 1})
		host := ratelimit.Subject{Kind: "host", Name: "api.example.com"}
		began := time.Now()
		for range 4 { // two at once, then one each second
			require.True(t, l.Wait(t.Context(), host, time.Now(), 2*time.Second))
		}
		require.Equal(t, 2*time.Second, time.Since(began))
		var turned atomic.Int32
		for range 5 {
			go func() {
				if !l.Wait(t.Context(), host, time.Now(), 2*time.Second) {
					turned.Add(1)
				}
			}()
		}
		synctest.Wait()
		require.EqualValues(t, 3, turned.Load(), "who would wait longer is refused at once, and takes nothing")
	})
}

func TestProcessesShareALimitOverNATSAndEachHasItsOwnWithoutIt(t *testing.T) {
	address := natstest.Listen(t)
	now := func() time.Time { return start }
	var both [2]*ratelimit.Limiter
	var conns [2]*nats.Conn
	for n := range both {
		nc, err := nats.Connect("nats://" + address)
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		both[n], conns[n] = ratelimit.New(map[string]float64{"read": 10}), nc
		go func() { _ = both[n].Share(t.Context(), nc, string(rune('a'+n)), now, slog.New(slog.DiscardHandler)) }()
	}
	require.Eventually(t, func() bool { // until both have subscribed, one at least hears nothing
		_, allowed, _ := both[0].Take(key, start)
		state, _, _ := both[1].Take(ratelimit.Subject{Kind: "read", Name: "key_1"}, start)
		return !allowed && state.Left < 1
	}, 10*time.Second, 10*time.Millisecond)

	conns[0].Close() // NATS is away
	other := ratelimit.Subject{Kind: "read", Name: "key_2"}
	require.Equal(t, 20, drain(both[0], other, start))
}
