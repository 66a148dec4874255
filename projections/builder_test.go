package projections_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/projections/sqlite"
)

func generations(t testing.TB, folder string) *sqlite.Generations {
	t.Helper()
	return &sqlite.Generations{Folder: folder, Log: slog.New(slog.DiscardHandler)}
}

func builder(h *history, g projections.Generations) *projections.Builder {
	return &projections.Builder{Events: h.Store, Generations: g, Log: slog.New(slog.DiscardHandler)}
}

// rebuilt builds a generation and opens it.
func rebuilt(t testing.TB, h *history, g projections.Generations) projections.Store {
	t.Helper()
	built, err := builder(h, g).Run(t.Context())
	require.NoError(t, err)
	s, err := g.Open(t.Context(), built.Generation)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// A rebuild from the last events shows the same as applying every event, for any history.
func TestARebuildShowsWhatEveryEventLeadsTo(t *testing.T) {
	h, one, g := begin(t), store(t), generations(t, t.TempDir())
	p, _ := project(t, h, one)
	var last, lastProbe uint64
	rapid.Check(t, func(rt *rapid.T) {
		for _, step := range rapid.SliceOfN(rapid.IntRange(0, 39), 1, 12).Draw(rt, "steps") {
			i := named(workspace, fmt.Sprint("crm-", step%8))
			i.Version, i.Incarnation = h.last[i.ID]+1, 1
			switch step / 8 {
			case 0, 1:
				last = h.record(t, i, created(i))
			case 2:
				last = h.record(t, i, domain.IntegrationDeleted{ID: i.ID, Workspace: workspace, Name: i.Name, Version: i.Version})
			case 3:
				last = h.scribble(t, i)
			case 4:
				lastProbe = h.probe(t, i, []domain.ProbeStatus{domain.Healthy, domain.Timeout}[step%2])
			}
		}
		wait(t, p, last)
		require.NoError(rt, p.WaitForProbe(t.Context(), lastProbe))
		two := rebuilt(t, h, g)
		q := projections.Query{Limit: 50}
		want, err := one.List(t.Context(), workspace, q)
		require.NoError(rt, err)
		got, err := two.List(t.Context(), workspace, q)
		require.NoError(rt, err)
		require.Equal(rt, want, got)
		parked, err := one.Parked(t.Context())
		require.NoError(rt, err)
		again, err := two.Parked(t.Context())
		require.NoError(rt, err)
		require.Equal(rt, parked, again)
		at, err := one.Positions(t.Context())
		require.NoError(rt, err)
		reached, err := two.Positions(t.Context())
		require.NoError(rt, err)
		require.Equal(rt, at, reached)
	})
}

func TestAnInterruptedRebuildChangesNothing(t *testing.T) {
	h, g := begin(t), generations(t, t.TempDir())
	for n := range 1200 {
		i := named(workspace, fmt.Sprint("crm-", n))
		h.record(t, i, created(i))
	}
	rebuilt(t, h, g)
	ctx, stop := context.WithCancel(t.Context())
	b := builder(h, g)
	b.Progress = func(built projections.Built) {
		require.Equal(t, 1200, built.Known)
		stop()
	}
	_, err := b.Run(ctx)
	require.ErrorIs(t, err, context.Canceled)
	live, err := g.Live(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, live)
	page, err := rebuilt(t, h, g).List(t.Context(), workspace, projections.Query{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, 1200, page.Total)
}

// logged fills a log with the creation of a number of integrations.
func logged(b *testing.B, events int) *history {
	b.Helper()
	h := begin(b)
	for n := range events {
		i := named(workspace, fmt.Sprintf("crm-%d", n))
		data, err := domain.Codec{}.Encode(created(i))
		require.NoError(b, err)
		require.NoError(b, h.nc.PublishMsg(&nats.Msg{
			Subject: "integrations." + string(workspace) + "." + string(i.ID), Data: data.Data,
			Header: nats.Header{"ce-type": {data.Name + ".v1"}, "ce-time": {"2026-03-01T00:00:00Z"}},
		}))
	}
	require.Eventually(b, func() bool {
		head, err := h.Head(b.Context())
		return err == nil && head == uint64(events)
	}, time.Minute, 10*time.Millisecond)
	return h
}

// The figures of docs/adr/0011 come from here: reading and decoding alone, a rebuild, and
// for comparison applying every event.
func BenchmarkRebuild(b *testing.B) {
	const events = 20000
	h := logged(b, events)
	perSecond := func(b *testing.B) {
		b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	}
	b.Run("reading the last events only", func(b *testing.B) {
		for b.Loop() {
			latest, err := h.Latest(b.Context())
			require.NoError(b, err)
			read := 0
			for commits, err := range latest.Commits {
				require.NoError(b, err)
				read += len(commits)
			}
			require.Equal(b, events, read)
		}
		perSecond(b)
	})
	b.Run("reading every event", func(b *testing.B) {
		for b.Loop() {
			read := 0
			for commits, err := range h.After(b.Context(), 0) {
				require.NoError(b, err)
				if read += len(commits); read == events {
					break
				}
			}
		}
		perSecond(b)
	})
	b.Run("rebuilding", func(b *testing.B) {
		for b.Loop() {
			_, err := builder(h, generations(b, b.TempDir())).Run(b.Context())
			require.NoError(b, err)
		}
		perSecond(b)
	})
	b.Run("applying every event", func(b *testing.B) {
		for b.Loop() {
			p, stop := project(b, h, store(b))
			wait(b, p, events)
			stop()
		}
		perSecond(b)
	})
}
