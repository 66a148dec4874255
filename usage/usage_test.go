package usage_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/usage"
)

var noon = time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)

var crm = domain.Ref{Workspace: "acme", ID: domain.NewID("acme", "crm")}

func TestAQuantileIsAtMostA32ndTooLong(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := usage.Histogram{}
		all := rapid.SliceOfN(rapid.Int64Range(0, int64(time.Hour)), 1, 200).Draw(rt, "durations")
		for _, d := range all {
			h.Add(time.Duration(d))
		}
		slices.Sort(all)
		q := rapid.SampledFrom([]float64{0.5, 0.95, 0.99, 1}).Draw(rt, "q")
		rank := 0
		for rank < len(all) && float64(rank) < q*float64(len(all)) {
			rank++
		}
		exact := time.Duration(all[rank-1]).Truncate(time.Microsecond)
		got := h.Quantile(q)
		require.GreaterOrEqual(rt, got, exact)
		require.LessOrEqual(rt, got, exact+exact/32)
	})
	require.Zero(t, usage.Histogram{}.Quantile(0.5))
}

func TestHistogramsAreMergedInAnyOrder(t *testing.T) {
	a, b, whole := usage.Histogram{}, usage.Histogram{}, usage.Histogram{}
	for n := range 1000 {
		d := time.Duration(n*n) * time.Microsecond
		whole.Add(d)
		[]usage.Histogram{a, b}[n%2].Add(d)
	}
	b.Merge(a)
	require.Equal(t, whole, b)
}

type counting struct {
	*testing.T
	nc     *nats.Conn
	events *eventstore.Store
	usage  *usage.Store
}

func open(t *testing.T) *counting {
	t.Helper()
	nc := natstest.Connect(t)
	events, err := eventstore.Open(t.Context(), nc, eventstore.Config{AllowLazySync: true, Timeout: 10 * time.Second})
	require.NoError(t, err)
	counts, err := usage.Open(t.Context(), nc, 1)
	require.NoError(t, err)
	return &counting{T: t, nc: nc, events: events, usage: counts}
}

// run counts until the returned function is called.
func (c *counting) run() (stop func()) {
	c.Helper()
	ctx, cancel := context.WithCancel(c.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- (&usage.Counter{Events: c.events, Usage: c.usage, Log: slog.New(slog.DiscardHandler)}).Run(ctx)
	}()
	return func() { cancel(); require.NoError(c, <-ended) }
}

func (c *counting) record(of domain.Ref, at time.Time, outcome domain.CallOutcome, took time.Duration) {
	c.Helper()
	_, err := c.events.RecordCall(c.Context(), domain.IntegrationInvoked{
		ID: of.ID, Workspace: of.Workspace, Endpoint: "list", Kind: domain.ToolCall, Outcome: outcome, Duration: took, At: at,
	}, domain.Metadata{CommandID: "c", At: at})
	require.NoError(c, err)
}

// counted waits until a number of calls are counted, and returns their hours.
func (c *counting) counted(of domain.Ref, calls int, now time.Time) (hours []usage.Hour) {
	c.Helper()
	require.Eventually(c, func() bool {
		var err error
		hours, err = c.usage.Hours(c.Context(), of, now)
		return err == nil && usage.Sum(hours).Calls >= calls
	}, time.Minute, 10*time.Millisecond)
	require.Equal(c, calls, usage.Sum(hours).Calls)
	return hours
}

func TestCallsAreCountedByHour(t *testing.T) {
	c := open(t)
	defer c.run()()
	other := domain.Ref{Workspace: "other", ID: domain.NewID("other", "crm")}
	for n := range 100 {
		c.record(crm, noon, domain.CallOK, time.Duration(n+1)*time.Millisecond)
	}
	c.record(crm, noon.Add(59*time.Minute), "upstream_error", time.Second)
	c.record(crm, noon.Add(13*time.Hour), domain.CallOK, time.Millisecond)
	c.record(crm, noon.Add(-31*24*time.Hour), domain.CallOK, time.Millisecond)
	c.record(other, noon, domain.CallOK, time.Hour)
	hours := c.counted(crm, 102, noon.Add(14*time.Hour))
	require.Len(t, hours, 2)
	require.Equal(t, []time.Time{noon, noon.Add(13 * time.Hour)}, []time.Time{hours[0].Start, hours[1].Start})
	require.Equal(t, []int{101, 1}, []int{hours[0].Calls, hours[0].Errors()})
	require.Equal(t, map[domain.CallOutcome]int{"ok": 100, "upstream_error": 1}, hours[0].Outcomes)
	require.Equal(t, map[domain.CallKind]int{domain.ToolCall: 101}, hours[0].Kinds)
	require.InDelta(t, 51, hours[0].Durations.Quantile(0.5).Milliseconds(), 2)
	require.InDelta(t, 96, hours[0].Durations.Quantile(0.95).Milliseconds(), 3)
	require.Len(t, c.counted(other, 1, noon), 1)
	require.Empty(t, c.counted(domain.Ref{Workspace: "acme", ID: other.ID}, 0, noon))

	require.Eventually(t, func() bool {
		position, at, err := c.usage.Counted(t.Context(), c.events.Lineage().ID())
		return err == nil && position == 104 && time.Since(at) < time.Minute
	}, time.Minute, 10*time.Millisecond)
	position, at, err := c.usage.Counted(t.Context(), "another log")
	require.NoError(t, err)
	require.Zero(t, position)
	require.Zero(t, at)
}

// The counter is stopped again and again, two run at once, and the counts are deleted: each
// call is counted once.
func TestEachCallIsCountedOnceHoweverTheCounterEnds(t *testing.T) {
	c := open(t)
	const calls = 400
	recorded := make(chan struct{})
	go func() {
		defer close(recorded)
		for n := range calls {
			c.record(crm, noon.Add(time.Duration(n)*time.Minute), domain.CallOK, time.Duration(n)*time.Millisecond)
		}
	}()
	for ended := false; !ended; {
		one, two := c.run(), c.run()
		select {
		case <-recorded:
			ended = true
		case <-time.After(time.Duration(rand.IntN(100)) * time.Millisecond):
		}
		one()
		two()
	}
	stop := c.run()
	first := c.counted(crm, calls, noon.Add(10*time.Hour))
	stop()

	js, err := jetstream.New(c.nc)
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), "USAGE")
	require.NoError(t, err)
	require.NoError(t, stream.Purge(t.Context()))
	defer c.run()()
	require.Equal(t, first, c.counted(crm, calls, noon.Add(10*time.Hour)), "a rebuild gives the same")
}
