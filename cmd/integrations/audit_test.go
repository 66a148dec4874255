package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/transparency"
)

// holds waits until a file has a checkpoint of at least a size.
func holds(t *testing.T, held string, log transparency.Log, size uint64) {
	t.Helper()
	require.Eventually(t, func() bool {
		text, _ := os.ReadFile(held)
		for _, one := range transparency.HeldSizes(text, log) {
			if one >= size {
				return true
			}
		}
		return false
	}, time.Hour, 10*time.Millisecond)
}

// auditExported writes an export to a file.
func auditExported(t *testing.T, data string, args ...string) string {
	t.Helper()
	exit, out := tool(t, append([]string{"audit", "export", "--data", data}, args...)...)
	require.Zero(t, exit, out)
	file := filepath.Join(t.TempDir(), "export.ndjson")
	require.NoError(t, os.WriteFile(file, []byte(out[strings.Index(out, "{"):]), 0o600))
	return file
}

func TestAHeldCheckpointShowsThatABackupWasRestored(t *testing.T) {
	slow(t)
	data, dir := t.TempDir(), t.TempDir()
	held := filepath.Join(dir, "held.txt")
	p := startProcess(t, data, "--checkpoints-to", held, "--checkpoints-every=1s", "--probe-interval=0s")
	for _, name := range []string{"a1", "b1"} {
		p.must(http.StatusCreated, http.MethodPost, all, crm(name, "secret-"+name))
	}
	p.must(http.StatusCreated, http.MethodPost, "/v1/globex/integrations", crm("ehr", "t"))
	holds(t, held, transparency.Integrations, 3)
	exit, out := tool(t, "backup", filepath.Join(dir, "backup"), "--data", data)
	require.Zero(t, exit, out)
	p.must(http.StatusOK, http.MethodPut, all+"/a1", `{"enabled": false}`)
	holds(t, held, transparency.Integrations, 4)
	holds(t, held, transparency.Access, 1)

	exit, key := tool(t, "audit", "key", "--data", data)
	require.Zero(t, exit, key)
	export := auditExported(t, data)
	exit, out = tool(t, "audit", "verify", export, "--checkpoint", held, "--key", strings.TrimSpace(key))
	require.Zero(t, exit, out)
	require.Contains(t, out, "ok: complete and unchanged to position 4")
	exit, out = tool(t, "audit", "verify", auditExported(t, data, "--workspace", "acme", "--checkpoint", held), "--checkpoint", held)
	require.Zero(t, exit, out)
	require.Contains(t, out, "integrations: 4 positions, 3 with their events and 1 with hashes only")
	exit, out = tool(t, "verify", "--checkpoint", held, "--data", data)
	require.Zero(t, exit, out)
	require.Contains(t, out, "tree of integrations: 4 positions, 0 of them expired and 0 removed; unchanged to position 4")
	exit, out = tool(t, "audit", "checkpoints", "--data", data)
	require.Zero(t, exit, out)
	require.Contains(t, out, "/integrations\n4\n")

	text, err := os.ReadFile(export)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(export, []byte(strings.Replace(string(text), `\"b1\"`, `\"b2\"`, 1)), 0o600))
	exit, out = tool(t, "audit", "verify", export, "--checkpoint", held)
	require.Equal(t, 1, exit, out)
	require.Contains(t, out, "position 2 was edited")
	require.Contains(t, p.metrics(), `integrations_follower_lag_events{follower="trees/integrations"} 0`)
	require.Zero(t, p.stop())

	again := t.TempDir()
	for _, name := range []string{"root.keyset", "operator.key"} { // which no backup has
		kept, err := os.ReadFile(filepath.Join(data, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(again, name), kept, 0o400))
	}
	exit, out = tool(t, "restore", filepath.Join(dir, "backup"), "--data", again)
	require.Zero(t, exit, out)
	restored := filepath.Join(dir, "restored.txt")
	p = startProcess(t, again, "--checkpoints-to", restored, "--checkpoints-every=1s", "--probe-interval=0s")
	holds(t, restored, transparency.Integrations, 3)
	exit, out = tool(t, "audit", "verify", auditExported(t, again), "--checkpoint", held, "--key", strings.TrimSpace(key))
	require.Equal(t, 1, exit, out)
	require.Contains(t, out, "4 to 4 are gone")
	require.Contains(t, out, "complete and unchanged only to position 3")
	p.must(http.StatusOK, http.MethodPut, all+"/a1", `{"display_name": "Another history"}`)
	holds(t, restored, transparency.Integrations, 4)
	exit, out = tool(t, "audit", "verify", auditExported(t, again), "--checkpoint", held)
	require.Equal(t, 1, exit, out)
	require.Contains(t, out, "positions 4 to 4 are not those that the held checkpoint of 4 positions was signed for")
	exit, out = tool(t, "verify", "--checkpoint", held, "--data", again)
	require.Equal(t, 1, exit, out)
	require.Zero(t, p.stop())
}

func TestACheckpointFileThatCanNotBeUsedIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for want, args := range map[string][]string{
		"--checkpoint: the file is empty": {"audit", "verify", empty, "--checkpoint", empty},
		"no such file":                    {"audit", "verify", empty, "--checkpoint", filepath.Join(dir, "none")},
		"--checkpoints-every":             {"serve", "--data", dir, "--checkpoints-every=1ms"},
		"--checkpoints-to":                {"serve", "--data", dir, "--checkpoints-to=http://a.example/add"},
	} {
		exit, out := tool(t, args...)
		require.Equal(t, 1, exit, out)
		require.Contains(t, out, want)
	}
}
