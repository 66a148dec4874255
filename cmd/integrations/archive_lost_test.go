package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/transparency"
)

// A disk can keep an earlier state of the log, and the present one of its tree.
func TestVerifyNamesWhatTheEndOfALogHadAndTheArchiveHas(t *testing.T) {
	slow(t)
	data, dir := t.TempDir(), t.TempDir()
	place, held, kept := filepath.Join(dir, "archive"), filepath.Join(dir, "held.txt"), filepath.Join(dir, "kept")
	flags := []string{"--checkpoints-to", held, "--checkpoints-every=1s", "--probe-interval=0s"}
	p := startProcess(t, data, flags...)
	p.must(http.StatusCreated, http.MethodPost, all, plainCRM)
	holds(t, held, transparency.Integrations, 1)
	require.Zero(t, p.stop())
	logs, err := filepath.Glob(filepath.Join(data, "*", "*", "*", "streams", "INTEGRATIONS"))
	require.NoError(t, err)
	require.Len(t, logs, 1)
	require.NoError(t, os.CopyFS(kept, os.DirFS(logs[0])))
	p = startProcess(t, data, flags...)
	for _, enabled := range []bool{false, true} {
		p.must(http.StatusOK, http.MethodPut, all+"/crm", fmt.Sprintf(`{"enabled": %t}`, enabled))
	}
	holds(t, held, transparency.Integrations, 3)
	exit, out := tool(t, "archive", "--data", data, "--to", place, "--before", time.Now().UTC().Format(time.RFC3339Nano))
	require.Zero(t, exit, out)
	require.Zero(t, p.stop())
	require.NoError(t, os.RemoveAll(logs[0]))
	require.NoError(t, os.CopyFS(logs[0], os.DirFS(kept)))

	exit, out = tool(t, "verify", "--data", data, "--archive", place)
	require.Equal(t, 1, exit, out)
	require.Contains(t, out, "positions 2 to 3 are gone: the log ends at 1, and a checkpoint was signed for 3")
	require.Contains(t, out, "archive of integrations: 3 positions; 1 events are byte for byte those of the log, 2 are in the archive only, and 0 in the log only")
	require.Contains(t, out, "wrong: integrations: positions 2 to 3 are missing from the log; the archive has them")
	require.NotContains(t, out, "start the service")
	exit, out = tool(t, "replay", "--data", data, "--archive", place)
	require.Equal(t, 1, exit, out)
	require.Contains(t, out, "the log ends before its tree does: 1 positions, and a checkpoint was signed for 3; run integrations verify")
}
