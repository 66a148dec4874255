package sqlite_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/projections/sqlite"
)

// made returns the n-th integration of a workspace, about 1 KB in JSON.
func made(w domain.Workspace, n int) domain.Integration {
	name := fmt.Sprintf("%s-%06d", []string{"clinic", "pharmacy", "scheduling", "billing"}[n%4], n)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n*7919%100000) * time.Second)
	return domain.Integration{
		ID: domain.NewID(w, name), Workspace: w, Name: name, Version: 1, Incarnation: 1, CreatedAt: at, UpdatedAt: at.Add(time.Duration(n*31%1000) * time.Hour),
		Configuration: domain.Configuration{
			DisplayName: "The " + name, Protocol: domain.Protocols()[n%3], BaseURL: "https://" + name + ".example.com/api", Enabled: n%5 != 0,
			Endpoints: []domain.Endpoint{{
				Name: "list_slots", Description: strings.Repeat("List the free slots. ", 12), Path: "/slots/{day}", Method: "GET",
				InputSchema: json.RawMessage(`{"type":"object","properties":{"day":{"type":"string","format":"date"}},"required":["day"]}`),
			}},
		},
	}
}

func workspaceName(n int) domain.Workspace { return domain.Workspace(fmt.Sprintf("workspace-%03d", n)) }

// filled returns a store with integrations spread over workspaces, each with a probe.
func filled(b *testing.B, workspaces, each int) *sqlite.Store {
	b.Helper()
	s := open(b, filepath.Join(b.TempDir(), "bench.db"))
	var batch projections.Batch
	position := uint64(0)
	for n := range each {
		for w := range workspaces {
			position++
			i := made(workspaceName(w), n)
			batch.Documents = append(batch.Documents, projections.Document{Position: position, Integration: i})
			batch.Probes = append(batch.Probes, projections.ProbeResult{
				Position: position, Workspace: i.Workspace, ID: i.ID, Incarnation: 1,
				LastProbe: projections.LastProbe{Status: domain.Healthy, At: i.UpdatedAt},
			})
		}
		if len(batch.Documents) >= 500 || n == each-1 {
			require.NoError(b, s.Apply(b.Context(), batch))
			batch = projections.Batch{}
		}
	}
	return s
}

func BenchmarkRead(b *testing.B) {
	const workspaces, each = 100, 1000
	s := filled(b, workspaces, each)
	b.Run("get", func(b *testing.B) {
		n := 0
		for b.Loop() {
			n++
			w := workspaceName(n % workspaces)
			_, err := s.Get(b.Context(), w, made(w, n*7%each).ID)
			require.NoError(b, err)
		}
	})
	yes := true
	queries := map[string]projections.Query{
		"search":     {Filter: projections.Filter{Search: "y-0005"}, Limit: 50},
		"search one": {Filter: projections.Filter{Search: "pharmacy-000501"}, Limit: 50},
		"filtered":   {Filter: projections.Filter{Enabled: &yes, Protocol: domain.FHIR}, Limit: 50},
		"deep":       {Sort: projections.Sort{By: projections.Name, Ascending: true}, After: &projections.Key{Name: "pharmacy"}, Limit: 50},
	}
	for _, by := range []projections.Field{projections.Name, projections.CreatedAt, projections.UpdatedAt} {
		queries["list "+string(by)] = projections.Query{Sort: projections.Sort{By: by}, Limit: 50}
	}
	names := make([]string, 0, len(queries))
	for name := range queries {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b.Run(name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				n++
				_, err := s.List(b.Context(), workspaceName(n%workspaces), queries[name])
				require.NoError(b, err)
			}
		})
	}
	b.Run("list in parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for n := 0; pb.Next(); n++ {
				if _, err := s.List(b.Context(), workspaceName(n%workspaces), queries["list name"]); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

func BenchmarkApply(b *testing.B) {
	for _, size := range []int{1, 100, 500} {
		b.Run(fmt.Sprintf("inserts in batches of %d", size), func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "bench.db"))
			position := 0
			for b.Loop() {
				var batch projections.Batch
				for range size {
					position++
					batch.Documents = append(batch.Documents, projections.Document{Position: uint64(position), Integration: made(workspaceName(position%100), position)})
				}
				require.NoError(b, s.Apply(b.Context(), batch))
			}
			b.ReportMetric(float64(position)/b.Elapsed().Seconds(), "documents/s")
		})
	}
	b.Run("updates in batches of 500 among 100000", func(b *testing.B) {
		s := filled(b, 100, 1000)
		position := 100000
		for b.Loop() {
			var batch projections.Batch
			for range 500 {
				position++
				i := made(workspaceName(position%100), position*7919%1000)
				i.UpdatedAt = i.UpdatedAt.Add(time.Duration(position) * time.Millisecond)
				batch.Documents = append(batch.Documents, projections.Document{Position: uint64(position), Integration: i})
			}
			require.NoError(b, s.Apply(b.Context(), batch))
		}
		b.ReportMetric(float64(position-100000)/b.Elapsed().Seconds(), "documents/s")
	})
}

// BenchmarkFill fills a new generation, as a rebuild does.
func BenchmarkFill(b *testing.B) {
	const size, inBatch = 20_000, 500
	var batches []projections.Batch
	for from := 0; from < size; from += inBatch {
		var batch projections.Batch
		for n := from; n < from+inBatch; n++ {
			batch.Documents = append(batch.Documents, projections.Document{Position: uint64(n + 1), Integration: made(workspaceName(n/1000), n)})
		}
		batches = append(batches, batch)
	}
	for b.Loop() {
		g := sqlite.Generations{Folder: b.TempDir(), Log: slog.New(slog.DiscardHandler)}
		_, s, err := g.Create(b.Context())
		require.NoError(b, err)
		for _, batch := range batches {
			require.NoError(b, s.Apply(b.Context(), batch))
		}
		require.NoError(b, s.Index(b.Context()))
		require.NoError(b, s.Close())
	}
	b.ReportMetric(float64(size*b.N)/b.Elapsed().Seconds(), "documents/s")
}

// Single creates, as one connection makes them, and batches of 16.
func BenchmarkApplyFew(b *testing.B) {
	for _, size := range []int{1, 16} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := filled(b, 10, 1000)
			at := uint64(10_000)
			require.NoError(b, s.Apply(b.Context(), projections.Batch{Reached: projections.Positions{Integrations: at}}))
			for b.Loop() {
				var batch projections.Batch
				from := projections.Positions{Integrations: at}
				batch.From = &from
				for range size {
					at++
					batch.Documents = append(batch.Documents, projections.Document{Position: at, Integration: made(workspaceName(0), int(at))})
				}
				batch.Reached.Integrations = at
				require.NoError(b, s.Apply(b.Context(), batch))
			}
		})
	}
}

func BenchmarkSchedule(b *testing.B) {
	const workspaces, each = 100, 1000
	s := filled(b, workspaces, each)
	for b.Loop() {
		enabled, probed := 0, 0
		require.NoError(b, s.Schedule(b.Context(), func(domain.Ref, int) { enabled++ }, func(domain.Ref, time.Time) { probed++ }))
		require.Equal(b, workspaces*each*4/5, enabled)
		require.Equal(b, workspaces*each, probed)
	}
}
