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

func TestAPruneOnAFullDiskFailsAndRemovesNothing(t *testing.T) {
	slow(t)
	d, dir := newSmallDisk(t), t.TempDir()
	p := &pruned{data: filepath.Join(d.dir, "data"), place: filepath.Join(dir, "archive"), held: filepath.Join(dir, "held.txt")}
	p.start(t)
	p.must(http.StatusCreated, http.MethodPost, all, plainCRM)
	for n := 2; n <= 30; n++ {
		p.must(http.StatusOK, http.MethodPut, all+"/crm", fmt.Sprintf(`{"display_name": "CRM %d"}`, n))
	}
	holds(t, p.held, transparency.Integrations, 30)
	exit, out := tool(t, "archive", "--data", p.data, "--to", p.place, "--before", time.Now().UTC().Format(time.RFC3339Nano))
	require.Zero(t, exit, out)
	whole := measured(t, "replay", "--data", p.data)
	for range 4 { // more room is taken each time
		d.fill()
		t.Log(p.prune(t, 1, "--keep=10", "--min-age=0s", "--apply"))
	}
	d.free()
	require.Eventually(t, func() bool {
		status, _, err := p.do(http.MethodPut, all+"/crm", `{"display_name": "after"}`)
		return err == nil && status == http.StatusOK
	}, time.Minute, 50*time.Millisecond)
	require.Equal(t, whole, measured(t, "replay", "--data", p.data)[:len(whole)])
	p.verified(t)
	require.Contains(t, p.prune(t, 0, "--keep=10", "--min-age=0s", "--apply"), "removed 21 of 31 events")
	p.verified(t)
	require.Zero(t, p.stop())
}
