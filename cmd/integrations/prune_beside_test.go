package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/objects"
	"github.com/seed677028b5/integrations/transparency"
	"github.com/seed677028b5/integrations/transparency/archive"
	"github.com/seed677028b5/integrations/transparency/trees"
)

// creating creates integrations until stop is called, which returns the names of those that were acknowledged.
func (p *pruned) creating(prefix string) (stop func() []string) {
	ctx, cancel := context.WithCancel(p.t.Context())
	var names []string
	var ended sync.WaitGroup
	url, key := p.url, p.key
	ended.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			name := fmt.Sprint(prefix, n)
			req, _ := http.NewRequestWithContext(ctx, http.MethodPost, url+all, strings.NewReader(strings.Replace(plainCRM, `"crm"`, `"`+name+`"`, 1)))
			req.Header.Set("Authorization", "Bearer "+key)
			req.Header.Set("Content-Type", "application/json")
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				continue
			}
			_ = res.Body.Close()
			if res.StatusCode == http.StatusCreated {
				names = append(names, name)
			}
		}
	})
	return func() []string {
		cancel()
		ended.Wait()
		return names
	}
}

// has requires that the archive and the log have every integration.
func (p *pruned) has(t *testing.T, names []string) {
	t.Helper()
	replayed := measured(t, "replay", "--data", p.data, "--archive", p.place)
	there := map[string]bool{}
	for line := range strings.Lines(replayed) {
		var e struct {
			Data        struct{ Name string }
			Integration struct{ Name string }
		}
		if json.Unmarshal([]byte(line), &e) == nil {
			there[e.Data.Name], there[e.Integration.Name] = true, true
		}
	}
	for _, name := range names {
		require.True(t, there[name] || strings.Contains(replayed, `"`+name+`"`), "%s of %d", name, len(names))
	}
}

// Two prunes at once, and other commands beside them, while integrations are created.
func TestCommandsBesideAPruneWaitOrSucceed(t *testing.T) {
	slow(t)
	p := archivedService(t, 60)
	stop := p.creating("beside-")
	type command struct {
		name string
		args []string
	}
	commands := []command{
		{"first", []string{"prune", "--archive", p.place, "--keep=20", "--min-age=0s", "--apply"}},
		{"second", []string{"prune", "--archive", p.place, "--keep=10", "--min-age=0s", "--apply"}},
		{"verify", []string{"verify", "--archive", p.place}},
		{"backup", []string{"backup", filepath.Join(t.TempDir(), "backup.tar")}},
		{"rebuild", []string{"rebuild", "--archive", p.place}},
		{"archive", []string{"archive", "--to", p.place, "--before", time.Now().UTC().Format(time.RFC3339Nano)}},
	}
	var ended sync.WaitGroup
	for _, c := range commands {
		ended.Go(func() {
			var out bytes.Buffer
			cmd := program(t.Context(), append(c.args, "--data", p.data)...)
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Run(); err != nil {
				t.Errorf("%s: %v: %s", c.name, err, out.String())
				return
			}
			t.Logf("%s: %s", c.name, out.String())
		})
	}
	ended.Wait()
	names := stop()
	require.NotEmpty(t, names)
	require.Contains(t, p.verified(t), "50 events of the log were removed")
	p.has(t, names)
}

// objectsAfter does something before an object is read for the first time.
type objectsAfter struct {
	archive.Objects

	do func()
}

func (o objectsAfter) Get(ctx context.Context, name string) ([]byte, error) {
	o.do()
	return o.Objects.Get(ctx, name)
}

func TestEventsThatAreRemovedDuringAComparisonAreNotMissing(t *testing.T) {
	slow(t)
	p := archivedService(t, 20)
	from, err := objects.Open(p.place)
	require.NoError(t, err)
	s := console{ctx: t.Context(), out: io.Discard, err: io.Discard, log: quiet()}
	require.NoError(t, storeFlags{Data: p.data, Replicas: 1}.openReader(s, func(r *trees.Reader) error {
		during := sync.OnceFunc(func() { p.prune(t, 0, "--keep=5", "--min-age=0s", "--apply") })
		done, err := archive.Archive{Objects: objectsAfter{from, during}, Log: transparency.Integrations}.Compare(t.Context(), r, func(uint64, uint64) {})
		require.Empty(t, done.Problems)
		require.Equal(t, []uint64{20, 15, 15}, []uint64{done.Position, done.OnlyArchive, done.Removed})
		return err
	}))
}
