package accesslog

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func denied(key, address string, at time.Time) Record {
	return Record{Kind: Denied, Workspace: "acme", Key: key, Address: address, Route: "GET /v1/:workspace/integrations", Code: "forbidden", Status: 403, Count: 1, First: at, Last: at}
}

func counts(records []Record) (all []uint64) {
	for _, r := range records {
		all = append(all, r.Count)
	}
	return all
}

func TestRequestsThatAreAlikeAreOneRecordAndItsRest(t *testing.T) {
	t.Parallel()
	var g gathering
	for n := range 3 {
		g.add(denied("k1", "192.0.2.1", noon.Add(time.Duration(n))))
	}
	first := g.due(noon.Add(time.Second), false)
	require.Equal(t, []uint64{3}, counts(first))
	require.Equal(t, noon, first[0].First)
	require.Equal(t, noon.Add(2), first[0].Last)
	for n := range 1000 {
		g.add(denied("k1", "192.0.2.1", noon.Add(time.Minute+time.Duration(n))))
	}
	require.Empty(t, g.due(noon.Add(2*time.Minute), false), "the rest waits for the end of the window")
	g.add(denied("k1", "192.0.2.2", noon.Add(time.Minute)))
	require.Equal(t, []uint64{1}, counts(g.due(noon.Add(2*time.Minute), false)), "another address is another record")
	rest := g.due(noon.Add(6*time.Minute), false)
	require.Equal(t, []uint64{1000}, counts(rest))
	require.Equal(t, noon.Add(time.Minute), rest[0].First)
	g.add(denied("k1", "192.0.2.1", noon.Add(7*time.Minute)))
	require.Equal(t, []uint64{1}, counts(g.due(noon.Add(8*time.Minute), false)), "a new window")
	require.Empty(t, g.due(noon.Add(9*time.Minute), true))
}

func TestAFloodOfDeniedRequestsIsCountedAndCutOff(t *testing.T) {
	t.Parallel()
	var g gathering
	const flood, seconds = 100_000, 20
	var written []Record
	for second := range seconds {
		now := noon.Add(time.Duration(second) * time.Second)
		for n := range flood / seconds {
			g.add(denied("", fmt.Sprint(second, "-", n), now)) // from everywhere
		}
		g.add(denied("k1", "192.0.2.1", now))
		g.add(Record{Kind: Used, Workspace: "acme", Key: "k2", Count: 1, First: now, Last: now})
		written = append(written, g.due(now, false)...)
	}
	written = append(written, g.due(noon.Add(time.Minute), true)...)
	total, byKind := uint64(0), map[string]int{}
	for _, r := range written {
		byKind[string(r.Kind)+" "+r.Key]++
		if r.Key == "" {
			total += r.Count
		}
	}
	require.Equal(t, uint64(flood), total, "every request is counted")
	require.Less(t, byKind["access.denied "], 520)
	require.Equal(t, 1, byKind["access.cut "])
	require.Equal(t, 2, byKind["access.denied k1"], "those with a key have their own budget")
	require.Equal(t, 2, byKind["access.key_used k2"])
}

// However much the keys of some workspaces are refused, what others are refused is recorded.
func TestAFloodInAWorkspaceDisplacesNothingOfAnother(t *testing.T) {
	t.Parallel()
	var g gathering
	written := map[string]int{}
	for second := range 400 {
		now := noon.Add(time.Duration(second) * time.Second)
		for n := range 200 {
			for _, w := range []domain.Workspace{"evil", "worse"} {
				r := denied("k1", fmt.Sprint(second, "-", n), now)
				r.Workspace = w
				g.add(r)
			}
		}
		g.add(denied("k2", fmt.Sprint(second/10), now))
		for _, r := range g.due(now, false) {
			written[string(r.Workspace)]++
		}
	}
	require.GreaterOrEqual(t, written["acme"], 40)
	require.Less(t, written["evil"], 800)
	g.due(noon.Add(time.Hour), false)
	g.due(noon.Add(4*time.Hour), false)
	require.Empty(t, g.classes[known].by, "what nobody uses is forgotten")
}

// Callers without a key can name any workspace. What they are refused elsewhere costs none its own records,
// and its readers see how many were cut.
func TestAFloodWithoutAKeyDisplacesNothingOfAnotherWorkspace(t *testing.T) {
	t.Parallel()
	var g gathering
	written, cut, sent := map[domain.Workspace]int{}, map[domain.Workspace]uint64{}, uint64(0)
	add := func(w domain.Workspace, aimed bool, address string, at time.Time) {
		r := denied("", address, at)
		r.Workspace, r.aimed = w, aimed
		g.add(r)
	}
	for second := range 400 {
		now := noon.Add(time.Duration(second) * time.Second)
		for n := range 200 {
			add("evil", true, fmt.Sprint(second, "-", n), now)
			add(domain.Workspace(fmt.Sprint("none-", second, "-", n)), false, "a", now)
			sent++
		}
		add("acme", true, fmt.Sprint(second/10), now)
		for _, r := range g.due(now, second == 399) {
			if r.Kind == Cut {
				cut[r.Workspace] += r.Count
			} else {
				written[r.Workspace]++
			}
		}
	}
	require.Len(t, cut, 2)
	require.GreaterOrEqual(t, written["acme"], 40)
	require.Less(t, written["evil"], 200)
	require.Equal(t, sent, cut["evil"]+uint64(written["evil"]), "every request is counted, in its workspace")
	require.Greater(t, cut[all], sent/2, "of workspaces that do not exist")
}

func TestWhatWasCutOfManyWorkspacesIsFewRecords(t *testing.T) {
	t.Parallel()
	var g gathering
	for n := range 1000 {
		g.cutOff(Record{Kind: Denied, Workspace: domain.Workspace(fmt.Sprint("w", n)), Key: "k", Count: 1, First: noon, Last: noon})
	}
	records := g.due(noon.Add(time.Hour), false)
	require.Len(t, records, maxCut+1)
	total := uint64(0)
	for _, r := range records {
		total += r.Count
	}
	require.Equal(t, uint64(1000), total)
	require.Empty(t, g.take())
}

func TestARecordWhoseAcknowledgementWasLostIsWrittenOnce(t *testing.T) {
	t.Parallel()
	id := 0
	l, err := Open(t.Context(), natstest.Connect(t), 1, time.Now, func() string { id++; return fmt.Sprint(id) }, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	lost, err := l.message(denied("k1", "a", noon))
	require.NoError(t, err)
	_, err = l.js.PublishMsg(t.Context(), lost)
	require.NoError(t, err)
	l.pending = append(l.pending, lost)
	require.NoError(t, l.write(t.Context(), true))
	page, _, err := l.Page(t.Context(), "acme", Filter{}, 0, 10)
	require.NoError(t, err)
	require.Len(t, page, 1)
}

func TestRecordsAreListed(t *testing.T) {
	t.Parallel()
	now := time.Now()
	id := 0
	l, err := Open(t.Context(), natstest.Connect(t), 1, func() time.Time { return now }, func() string { id++; return fmt.Sprint(id) }, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	for n := range 5 {
		l.Add(denied(fmt.Sprint("k", n), "192.0.2.1", now))
	}
	l.Add(Record{Kind: Used, Workspace: "acme", Key: "k0", Address: "192.0.2.9"})
	l.Add(Record{Kind: Denied, Workspace: "globex", Key: "k0"})
	l.Add(Record{Kind: Denied, Route: "GET /v1/auth/me"}) // of no workspace
	(*Log)(nil).Add(Record{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // what is open at the end is written
	require.NoError(t, l.Run(ctx))

	var all []Stored
	for after := uint64(0); ; {
		page, next, err := l.Page(t.Context(), "acme", Filter{}, after, 4)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page), 4)
		if all = append(all, page...); next == 0 {
			break
		}
		after = next
	}
	require.Len(t, all, 6)
	for name, row := range map[string]struct {
		f    Filter
		want int
	}{
		"denied": {Filter{Kind: Denied}, 5}, "used": {Filter{Kind: Used}, 1}, "key": {Filter{Key: "k0"}, 2}, "of that time": {Filter{From: now, To: now.Add(1)}, 6},
		"later": {Filter{From: now.Add(time.Hour)}, 0}, "earlier": {Filter{To: now}, 0},
	} {
		page, next, err := l.Page(t.Context(), "acme", row.f, 0, 100)
		require.NoError(t, err)
		require.Len(t, page, row.want, name)
		require.Zero(t, next)
	}
	page, _, err := l.Page(t.Context(), "none", Filter{}, 0, 100)
	require.NoError(t, err)
	require.Empty(t, page)
}
