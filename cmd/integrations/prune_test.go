package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/transparency"
)

func TestArchivedEventsAreRemovedFromTheLogAndAllElseStays(t *testing.T) {
	slow(t)
	data, dir := t.TempDir(), t.TempDir()
	place, held := filepath.Join(dir, "archive"), filepath.Join(dir, "held.txt")
	p := startProcess(t, data, "--checkpoints-to", held, "--checkpoints-every=1s", "--probe-interval=0s")
	p.must(http.StatusCreated, http.MethodPost, all, plainCRM)
	for n := range 20 {
		p.must(http.StatusOK, http.MethodPut, all+"/crm", fmt.Sprintf(`{"display_name": "CRM %d"}`, n))
	}
	holds(t, held, transparency.Integrations, 21)
	prune := func(args ...string) (int, string) {
		return tool(t, append([]string{"prune", "--data", data, "--archive", place}, args...)...)
	}
	exit, out := prune("--keep=3")
	require.Equal(t, 1, exit, out)
	exit, out = tool(t, "archive", "--data", data, "--to", place, "--before", time.Now().UTC().Format(time.RFC3339Nano))
	require.Zero(t, exit, out)

	exit, out = prune("--keep=3")
	require.Equal(t, 1, exit, out)
	require.Contains(t, out, "only events before")
	exit, out = prune("--keep=3", "--min-age=0s")
	require.Zero(t, exit, out)
	require.Contains(t, out, "18 of 21 events up to position 18")
	exit, out = prune("--keep=3", "--min-age=0s", "--apply")
	require.Zero(t, exit, out)
	require.Contains(t, out, "removed 18 of 21 events")

	p.must(http.StatusOK, http.MethodPut, all+"/crm", `{"display_name": "CRM after"}`)
	exit, out = tool(t, "verify", "--data", data, "--archive", place, "--checkpoint", held)
	require.Zero(t, exit, out)
	t.Log(out)
	exit, out = tool(t, "status", "--data", data)
	t.Log(out)
	require.Zero(t, exit, out)
	require.Zero(t, p.stop())
	p = startProcess(t, data, "--probe-interval=0s")
	p.must(http.StatusOK, http.MethodPut, all+"/crm", `{"display_name": "CRM after a restart"}`)
}
