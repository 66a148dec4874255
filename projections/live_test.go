package projections_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// runLive keeps the live generation of g current until the test ends.
func runLive(t *testing.T, h *history, g projections.Generations) *projections.Live {
	t.Helper()
	l := &projections.Live{Events: h.Store, Generations: g, Log: slog.New(slog.DiscardHandler), Every: 5 * time.Millisecond}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		running.Wait()
		require.NoError(t, l.Close())
		_, err := l.Get(context.Background(), workspace, "x")
		require.Equal(t, domain.Unavailable, domain.KindOf(err))
	})
	return l
}

func requireListed(t *testing.T, l *projections.Live, want int) {
	t.Helper()
	page, err := l.List(t.Context(), workspace, projections.Query{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, want, page.Total)
}

func soon(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, time.Minute, time.Millisecond)
}

func TestAServiceWithoutAReadModelBuildsOne(t *testing.T) {
	h, g := begin(t), generations(t, t.TempDir())
	l := &projections.Live{Events: h.Store, Generations: g}
	_, err := l.List(t.Context(), workspace, projections.Query{Limit: 1})
	require.Equal(t, domain.Unavailable, domain.KindOf(err), "the workspace isn't known to be empty")
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.Error(t, l.Wait(ctx, 0))

	crm, ehr := named(workspace, "crm"), named(workspace, "ehr")
	at := h.record(t, crm, created(crm))
	l = runLive(t, h, g)
	wait(t, l, at)
	requireListed(t, l, 1)
	wait(t, l, h.record(t, ehr, created(ehr)))
	requireListed(t, l, 2)
	soon(t, func() bool {
		return l.Status().Head == l.Status().Shown && l.Status().Generation == 1 && l.Status().Head.Integrations == 2
	})
}

func TestAnUnusableReadModelIsRebuilt(t *testing.T) {
	for what, spoil := range map[string]func(t *testing.T, folder string){
		"lost": func(t *testing.T, folder string) {
			require.NoError(t, os.Remove(filepath.Join(folder, "read-1.db")))
		},
		"damaged": func(t *testing.T, folder string) {
			require.NoError(t, os.WriteFile(filepath.Join(folder, "read-1.db"), []byte("not a database, whatever it is called"), 0o600))
		},
		"found damaged in use": func(t *testing.T, folder string) {
			require.NoError(t, os.WriteFile(filepath.Join(folder, "read-1.db.damaged"), nil, 0o600))
		},
		"its pointer lost": func(t *testing.T, folder string) {
			require.NoError(t, os.Remove(filepath.Join(folder, "read.generation")))
		},
		"its pointer damaged": func(t *testing.T, folder string) {
			require.NoError(t, os.WriteFile(filepath.Join(folder, "read.generation"), []byte("x"), 0o600))
		},
		"of before there were generations": func(t *testing.T, folder string) {
			for _, name := range []string{"read.generation", "read-1.db"} {
				require.NoError(t, os.Remove(filepath.Join(folder, name)))
			}
			require.NoError(t, os.WriteFile(filepath.Join(folder, "read.db"), nil, 0o600))
		},
		"of another log": func(t *testing.T, folder string) {
			s, err := generations(t, folder).Open(t.Context(), 1)
			require.NoError(t, err)
			stale := named(workspace, "stale")
			require.NoError(t, s.Apply(t.Context(), projections.Batch{
				Documents: []projections.Document{{Position: 900, Integration: stale}}, Reached: projections.Positions{Integrations: 900},
			}))
			require.NoError(t, s.Close())
		},
	} {
		t.Run(what, func(t *testing.T) {
			h, folder := begin(t), t.TempDir()
			crm := named(workspace, "crm")
			at := h.record(t, crm, created(crm))
			_, err := builder(h, generations(t, folder)).Run(t.Context())
			require.NoError(t, err)
			spoil(t, folder)
			l := runLive(t, h, generations(t, folder))
			wait(t, l, at)
			require.Equal(t, at, l.Position())
			requireListed(t, l, 1)
			soon(t, func() bool { return l.Status().Head.Integrations == at })
			left, err := filepath.Glob(filepath.Join(folder, "read*.db"))
			require.NoError(t, err)
			require.Len(t, left, 1)
		})
	}
}

// Rebuilds follow each other while two services write, read and wait. Readers miss nothing,
// and no position that was shown goes back.
func TestARebuildUnderLoadIsInvisibleToReaders(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	h, folder := begin(t), t.TempDir()
	const stay = 30
	for n := range stay {
		i := named(workspace, fmt.Sprintf("stays-%d", n))
		h.record(t, i, created(i))
	}
	services := []*projections.Live{runLive(t, h, generations(t, folder)), runLive(t, h, generations(t, folder))}
	for _, l := range services {
		wait(t, l, stay)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var load sync.WaitGroup
	var written atomic.Int64
	load.Go(func() { // a caller who waits for each write must see it and all earlier ones
		for n := 0; ctx.Err() == nil; n++ {
			i := named("other", fmt.Sprintf("crm-%d", n))
			at := h.record(t, i, created(i))
			l := services[n%len(services)]
			patient, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			if err := l.Wait(patient, at); err != nil {
				t.Error(err)
			}
			cancel()
			page, err := l.List(context.Background(), "other", projections.Query{Limit: 1})
			if err != nil || page.Total < n+1 {
				t.Errorf("after %d writes %d are listed, and the error is %v", n+1, page.Total, err)
				return
			}
			written.Store(int64(n + 1))
		}
	})
	for _, l := range services {
		load.Go(func() {
			before := projections.Positions{}
			for ctx.Err() == nil {
				at := l.Status().Shown
				page, err := l.List(context.Background(), workspace, projections.Query{Limit: stay})
				if err != nil || page.Total != stay || len(page.Items) != stay || at.Integrations < before.Integrations || at.Probes < before.Probes {
					t.Errorf("%d of %d listed, position %d after %d, %v", page.Total, stay, at.Integrations, before.Integrations, err)
					return
				}
				before = at
			}
		})
	}
	for range 5 {
		enough := written.Load() + 20
		built, err := builder(h, generations(t, folder)).Run(t.Context())
		require.NoError(t, err)
		soon(t, func() bool {
			return services[0].Status().Generation == built.Generation && services[1].Status().Generation == built.Generation && written.Load() > enough || t.Failed()
		})
	}
	stop()
	load.Wait()
	soon(t, func() bool { // generations that nobody reads are deleted
		left, err := filepath.Glob(filepath.Join(folder, "read-*.db"))
		return err == nil && len(left) == 1
	})
}

// A read model that is damaged in use is rebuilt, as at a start.
func TestAReadModelThatIsDamagedInUseIsRebuilt(t *testing.T) {
	for what, spoil := range map[string]func(t *testing.T, file string){
		"a damaged page": func(t *testing.T, file string) {
			f, err := os.OpenFile(file, os.O_WRONLY, 0)
			require.NoError(t, err)
			info, err := f.Stat()
			require.NoError(t, err)
			for at := int64(4096); at < info.Size(); at += 64 {
				_, err := f.WriteAt([]byte("spoilt"), at)
				require.NoError(t, err)
			}
			require.NoError(t, f.Close())
		},
		"another file in its place": func(t *testing.T, file string) {
			older, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file+".older", older, 0o600))
			require.NoError(t, os.Rename(file+".older", file))
		},
		"gone": func(t *testing.T, file string) { require.NoError(t, os.Remove(file)) },
		"a folder in its place": func(t *testing.T, file string) {
			require.NoError(t, os.Remove(file))
			require.NoError(t, os.MkdirAll(filepath.Join(file, "of somebody"), 0o700))
		},
	} {
		t.Run(what, func(t *testing.T) {
			h, folder := begin(t), t.TempDir()
			l := runLive(t, h, generations(t, folder))
			var at uint64
			for n := range 200 {
				i := named(workspace, fmt.Sprint("crm-", n))
				at = h.record(t, i, created(i))
			}
			wait(t, l, at)
			requireListed(t, l, 200)
			spoil(t, filepath.Join(folder, "read-1.db"))
			ehr := named(workspace, "ehr")
			h.record(t, ehr, created(ehr))
			soon(t, func() bool {
				page, err := l.List(t.Context(), workspace, projections.Query{Limit: 200}) // damage is detected when it is read
				return err == nil && page.Total == 201 && l.Status().Generation == 2
			})
			requireListed(t, l, 201)
		})
	}
}

func TestAReadModelThatStopsBehindTheLogIsStalled(t *testing.T) {
	now := time.Now()
	behind := projections.Status{Shown: projections.Positions{Integrations: 7}, Head: projections.Positions{Integrations: 9}, Moved: now}
	require.False(t, behind.Stalled(now.Add(30*time.Second), 30*time.Second))
	require.True(t, behind.Stalled(now.Add(31*time.Second), 30*time.Second))
	whole := behind
	whole.Shown = whole.Head
	require.False(t, whole.Stalled(now.Add(time.Hour), 30*time.Second))
}
