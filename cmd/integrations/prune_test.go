package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/transparency"
)

// pruned is a service with a log that was archived.
type pruned struct {
	*process

	data, place, held string
}

// archivedService returns a service whose log has a number of events of one integration, all of them archived.
func archivedService(t *testing.T, events int) *pruned {
	t.Helper()
	data, dir := t.TempDir(), t.TempDir()
	p := &pruned{data: data, place: filepath.Join(dir, "archive"), held: filepath.Join(dir, "held.txt")}
	p.start(t)
	p.must(http.StatusCreated, http.MethodPost, all, plainCRM)
	for n := 2; n <= events; n++ {
		p.must(http.StatusOK, http.MethodPut, all+"/crm", fmt.Sprintf(`{"display_name": "CRM %d"}`, n))
	}
	holds(t, p.held, transparency.Integrations, uint64(events))
	exit, out := tool(t, "archive", "--data", data, "--to", p.place, "--before", time.Now().UTC().Format(time.RFC3339Nano))
	require.Zero(t, exit, out)
	return p
}

func (p *pruned) start(t *testing.T) {
	t.Helper()
	p.process = startProcess(t, p.data, "--checkpoints-to", p.held, "--checkpoints-every=1s", "--probe-interval=0s")
}

func (p *pruned) prune(t *testing.T, want int, args ...string) string {
	t.Helper()
	exit, out := tool(t, append([]string{"prune", "--data", p.data, "--archive", p.place}, args...)...)
	require.Equal(t, want, exit, out)
	return out
}

// verified verifies everything.
func (p *pruned) verified(t *testing.T) string {
	t.Helper()
	exit, out := tool(t, "verify", "--data", p.data, "--archive", p.place, "--checkpoint", p.held)
	require.Zero(t, exit, out)
	return out
}

func TestArchivedEventsAreRemovedFromTheLogAndAllElseStays(t *testing.T) {
	slow(t)
	p := archivedService(t, 21)
	whole := measured(t, "replay", "--data", p.data)
	exported, held := auditExported(t, p.data), filepath.Join(t.TempDir(), "held.txt")
	text, err := os.ReadFile(p.held)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(held, text, 0o600))
	began := time.Now()

	require.Contains(t, p.prune(t, 1, "--keep=0"), "--keep must be at least 1")
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, 1, execute(interrupted, []string{"prune", "--data", p.data, "--archive", p.place}, io.Discard, io.Discard))
	require.Contains(t, p.prune(t, 1, "--keep=3"), "only events before")
	require.Contains(t, p.prune(t, 0, "--keep=30", "--min-age=0s"), "nothing to remove")
	require.Contains(t, p.prune(t, 0, "--keep=3", "--min-age=0s"), "18 of 21 events up to position 18")
	require.Equal(t, whole, measured(t, "replay", "--data", p.data), "nothing was removed yet")
	require.Contains(t, p.prune(t, 0, "--keep=3", "--min-age=0s", "--apply"), "removed 18 of 21 events")
	require.Contains(t, p.prune(t, 0, "--keep=3", "--min-age=0s", "--apply"), "nothing to remove")

	p.must(http.StatusOK, http.MethodPut, all+"/crm", `{"display_name": "CRM after"}`)
	out := p.verified(t)
	require.Contains(t, out, "18 events of the log were removed, which an archive has")
	require.Contains(t, out, "3 events are byte for byte those of the log, 18 are in the archive only, and 0 in the log only; 18 of those were removed")
	exit, out := tool(t, "status", "--data", p.data)
	require.Zero(t, exit, out)
	require.Contains(t, out, "nothing is missing; 18 were removed, which an archive has")

	history := p.must(http.StatusOK, http.MethodGet, all+"/crm/history", "")
	require.Contains(t, history, `"archived_through":18`)
	require.Contains(t, history, `"version":19`)
	require.NotContains(t, history, `"version":18`)
	require.Contains(t, history, "the event before it is no longer in the log")
	require.Eventually(t, func() bool {
		return strings.Contains(p.must(http.StatusOK, http.MethodGet, all+"/events", ""), `"archived_through":18`)
	}, time.Minute, 50*time.Millisecond)
	for _, point := range []string{"1", "18", began.Add(-time.Hour).UTC().Format(time.RFC3339)} {
		require.Contains(t, p.must(http.StatusGone, http.MethodGet, all+"/crm?as_of="+point, ""), "version_archived")
	}
	p.must(http.StatusOK, http.MethodGet, all+"/crm?as_of=19", "")
	require.Contains(t, p.must(http.StatusGone, http.MethodPost, all+"/crm/restore", `{"version": 4}`), "version_archived")
	require.Contains(t, p.must(http.StatusGone, http.MethodGet, all+"/events/7/proof", ""), "event_archived")
	p.must(http.StatusOK, http.MethodGet, all+"/events/20/proof", "")

	require.Equal(t, whole, strings.Join(strings.SplitAfter(measured(t, "replay", "--data", p.data, "--archive", p.place), "\n")[:21], ""))
	exit, out = tool(t, "replay", "--data", p.data)
	require.Zero(t, exit)
	require.Contains(t, out, "18 events up to position 18 were removed from the log")
	exit, out = tool(t, "history", "--data", p.data, "--workspace=acme", "crm")
	require.Zero(t, exit)
	require.Contains(t, out, "events up to position 18 were removed from the log")
	for _, file := range []string{exported, auditExported(t, p.data, "--checkpoint", held)} {
		exit, out = tool(t, "audit", "verify", file, "--checkpoint", held)
		require.Zero(t, exit, out)
	}
	exit, out = tool(t, "archive", "--data", p.data, "--to", t.TempDir(), "--before", time.Now().UTC().Format(time.RFC3339Nano))
	require.Equal(t, 1, exit)
	require.Contains(t, out, "position 1 was removed from the log")
	holds(t, p.held, transparency.Integrations, 22)
	exit, out = tool(t, "archive", "--data", p.data, "--to", p.place, "--before", time.Now().UTC().Format(time.RFC3339Nano))
	require.Zero(t, exit, out)
	require.Contains(t, out, "positions 22 to 22")
	p.backedUp(t)

	require.Zero(t, p.stop())
	one := sha256.Sum256([]byte(dump(t, p.data)))
	for _, args := range [][]string{{"rebuild", "--data", p.data}, {"rebuild", "--data", p.data, "--archive", p.place}} {
		measured(t, args...)
		require.Equal(t, one, sha256.Sum256([]byte(dump(t, p.data))))
	}
	p.start(t)
	p.must(http.StatusOK, http.MethodPut, all+"/crm", `{"display_name": "CRM after a restart"}`)
	p.must(http.StatusOK, http.MethodPut, all+"/crm", `{"display_name": "CRM again"}`)
	require.Contains(t, p.prune(t, 1, "--keep=1", "--min-age=0s", "--apply"), "archive the log further")
	require.Contains(t, p.prune(t, 0, "--keep=2", "--min-age=0s", "--apply"), "22 have been removed so far")
	p.verified(t)
	p.tampered(t)
}

// backedUp restores a backup of the log into another folder, and verifies it.
func (p *pruned) backedUp(t *testing.T) {
	t.Helper()
	file, data := filepath.Join(t.TempDir(), "backup.tar"), filepath.Join(t.TempDir(), "data")
	exit, out := tool(t, "backup", file, "--with-root-keyset", "--data", p.data)
	require.Zero(t, exit, out)
	exit, out = tool(t, "restore", file, "--data", data)
	require.Zero(t, exit, out)
	exit, out = tool(t, "status", "--data", data)
	require.Contains(t, out, "18 were removed, which an archive has", exit)
}

// nats returns a connection to the server of the service.
func (p *pruned) nats(t *testing.T) *nats.Conn {
	t.Helper()
	address, err := os.ReadFile(filepath.Join(p.data, "nats.url"))
	require.NoError(t, err)
	nc, err := nats.Connect(strings.TrimSpace(string(address)))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// tampered requires that positions which nobody signed are not taken for removed ones.
func (p *pruned) tampered(t *testing.T) {
	t.Helper()
	js, err := jetstream.New(p.nats(t))
	require.NoError(t, err)
	state, err := js.KeyValue(t.Context(), "LOG_STATE")
	require.NoError(t, err)
	entry, err := state.Get(t.Context(), "lineage")
	require.NoError(t, err)
	var lineage map[string]any
	require.NoError(t, json.Unmarshal(entry.Value(), &lineage))
	removed := lineage["removed"].(map[string]any) //nolint:forcetypeassert // else the test fails
	part, err := state.Get(t.Context(), fmt.Sprintf("removed.%s.0", removed["set"]))
	require.NoError(t, err)
	bits := bytes.Clone(part.Value())
	bits[2] |= 1 << 6 // position 23
	removed["count"], removed["set"] = 23, "forged"
	text, err := json.Marshal(lineage)
	require.NoError(t, err)
	_, err = state.Put(t.Context(), "removed.forged.0", bits)
	require.NoError(t, err)
	_, err = state.Put(t.Context(), "lineage", text)
	require.NoError(t, err)
	exit, out := tool(t, "verify", "--data", p.data)
	require.Equal(t, 1, exit, out)
	require.Contains(t, out, "the record of removed events is not the one that was signed")
}

// A prune that is killed at any moment loses nothing, and another one continues.
func TestAPruneThatIsKilledLeavesALogThatGoesOn(t *testing.T) {
	slow(t)
	p := archivedService(t, 60)
	whole := measured(t, "replay", "--data", p.data)
	js, err := jetstream.New(p.nats(t))
	require.NoError(t, err)
	killed := 0
	for keep := 50; keep > 0; keep -= 20 {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer cancel()
			for ctx.Err() == nil {
				log, err := js.Stream(ctx, "INTEGRATIONS")
				if err == nil && log.CachedInfo().Config.Metadata["integrations.prune"] != "" {
					time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
					return
				}
			}
		}()
		cmd := program(ctx, "prune", "--data", p.data, "--archive", p.place, fmt.Sprint("--keep=", keep), "--min-age=0s", "--apply")
		require.NoError(t, cmd.Start())
		if cmd.Wait() != nil {
			killed++
		}
		cancel()
		require.Eventually(t, func() bool {
			status, _, err := p.do(http.MethodPut, all+"/crm", fmt.Sprintf(`{"display_name": "with %d"}`, keep))
			return err == nil && status == http.StatusOK
		}, 20*time.Second, 50*time.Millisecond)
		p.verified(t)
		require.Equal(t, whole, measured(t, "replay", "--data", p.data, "--archive", p.place)[:len(whole)])
	}
	t.Logf("%d of 3 were killed", killed)
}
