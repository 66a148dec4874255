package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/cmd/integrations/status"
	"github.com/seed677028b5/integrations/transparency"
)

// measured returns the values of a metric by its follower.
func (p *process) measured(metric string) map[string]float64 {
	p.t.Helper()
	res, err := http.Get(p.url + "/metrics")
	require.NoError(p.t, err)
	defer func() { require.NoError(p.t, res.Body.Close()) }()
	body, err := io.ReadAll(res.Body)
	require.NoError(p.t, err)
	all := map[string]float64{}
	for _, found := range regexp.MustCompile(`(?m)^`+metric+`\{follower="([^"]*)"\} (\S+)$`).FindAllStringSubmatch(string(body), -1) {
		value, err := strconv.ParseFloat(found[2], 64)
		require.NoError(p.t, err)
		all[found[1]] = value
	}
	return all
}

func TestEveryFollowerTellsItsLagAndItsLastProgress(t *testing.T) {
	slow(t)
	t.Parallel()
	data := t.TempDir()
	p := startProcess(t, data)
	p.must(http.StatusCreated, http.MethodPost, all, crm("crm", "t"))
	want := []string{"webhooks/integrations", "probe-schedules/integrations", "read-model/integrations", "live-events/integrations", "live-calls/calls", "probe-results/probes", "usage/calls"}
	require.Eventually(t, func() bool {
		lag := p.measured("integrations_follower_lag_events")
		progress := p.measured("integrations_follower_last_progress_timestamp_seconds")
		for _, name := range want {
			behind, known := lag[name]
			if !known || behind != 0 || time.Since(time.Unix(int64(progress[name]), 0)) > time.Minute {
				return false
			}
		}
		return true
	}, time.Minute, 50*time.Millisecond)

	res, err := http.Get(p.url + "/metrics")
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, errors.Join(err, res.Body.Close()))
	for _, line := range []string{
		`integrations_log_append_duration_seconds_count{outcome="ok"} 1`, `integrations_log_commit_events_sum 1`, `integrations_http_requests_in_flight 1`,
		`integrations_event_stream_listeners{stream="calls"} 0`, `integrations_webhooks_dead_letters 0`, `integrations_overload_refusals_total{pool="calls"} 0`,
		`integrations_programs_running 0`, `integrations_upstream_pauses_total 0`,
	} {
		require.Contains(t, string(body), "\n"+line+"\n")
	}

	exit, out := tool(t, "status", "--json", "--data", data)
	require.Zero(t, exit, out)
	var st status.Report
	require.NoError(t, json.Unmarshal([]byte(out), &st))
	found := map[string]bool{}
	for _, f := range st.Followers {
		found[f.Name] = true
		require.Zero(t, f.Lag, f.Name)
		require.False(t, f.Progress.IsZero(), f.Name)
	}
	require.True(t, found["webhooks/integrations"] && found["probe-schedules/integrations"] && found["usage/calls"], out)
	require.NotEmpty(t, st.Trees)
	for _, tree := range st.Trees {
		require.Equal(t, tree.Head, tree.Signed+tree.Lag)
		require.False(t, tree.SignedAt.IsZero())
		require.Regexp(t, "^integrations/[^/]+/"+string(tree.Log)+"$", tree.Origin)
		require.True(t, strings.HasPrefix(tree.Checkpoint, fmt.Sprintf("%s\n%d\n", tree.Origin, tree.Signed)), tree.Checkpoint)
	}
	require.Equal(t, transparency.Integrations, st.Trees[0].Log)
	require.Zero(t, st.Trees[0].Lag)
	require.NoError(t, os.WriteFile(filepath.Join(data, "calls.journal.damaged"), []byte("?"), 0o600))
	exit, out = tool(t, "status", "--data", data)
	require.Zero(t, exit, out)
	require.Contains(t, out, "damaged journal: "+filepath.Join(data, "calls.journal.damaged")+", last written ")
	for _, words := range []string{"webhooks pending", "LAST PROGRESS AGO", "probe-schedules/integrations", "usage/calls", "LAST SIGNED AGO", st.Trees[0].Origin} {
		require.True(t, strings.Contains(out, words), out)
	}
}
