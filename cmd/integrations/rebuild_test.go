package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/cmd/integrations/status"
	"github.com/seed677028b5/integrations/domain"
)

// toolJSON runs a command with --json, and reads what it writes.
func toolJSON(t *testing.T, into any, args ...string) (exit int) {
	t.Helper()
	out, errs := &strings.Builder{}, &strings.Builder{}
	exit = execute(t.Context(), append(args, "--json"), out, errs)
	require.NoError(t, json.Unmarshal([]byte(out.String()), into), out.String()+errs.String())
	return exit
}

// Rebuilds under load: what was answered stays listed, and the position of an
// answer is shown by the next.
func TestARebuildBesideAServiceIsNotNoticed(t *testing.T) {
	slow(t)
	data := t.TempDir()
	p := startProcess(t, data)
	const stay = 40
	for n := range stay {
		p.must(http.StatusCreated, http.MethodPost, all, crm(fmt.Sprint("stays-", n), "t"))
	}
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	load.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			name := fmt.Sprint("new-", n)
			if status, answer, err := p.do(http.MethodPost, "/v1/other/integrations", crm(name, "t")); status != http.StatusCreated {
				t.Error(status, answer, err)
				return
			}
			if status, answer, err := p.do(http.MethodGet, "/v1/other/integrations/"+name, ""); status != http.StatusOK {
				t.Error(name, status, answer, err)
				return
			}
		}
	})
	for range 2 {
		load.Go(func() {
			for ctx.Err() == nil {
				status, answer, err := p.do(http.MethodGet, all+"?limit=200&search=stays", "")
				if status != http.StatusOK || !strings.Contains(answer, fmt.Sprintf(`"total":%d`, stay)) {
					t.Error(status, answer, err)
					return
				}
			}
		})
	}
	for range 3 {
		var done rebuilt
		require.Zero(t, toolJSON(t, &done, "rebuild", "--data", data))
		require.GreaterOrEqual(t, done.Integrations, stay)
		require.Eventually(t, func() bool {
			return strings.Contains(p.must(http.StatusOK, http.MethodGet, "/metrics", ""), fmt.Sprintf("integrations_read_model_generation %d\n", done.Generation))
		}, time.Minute, 10*time.Millisecond)
	}
	stop()
	load.Wait()
	require.Eventually(t, func() bool { // those before are gone
		left, err := filepath.Glob(filepath.Join(data, "read-*.db"))
		return err == nil && len(left) == 1
	}, time.Minute, 10*time.Millisecond)
	exit, out := tool(t, "verify", "--data", data)
	require.Zero(t, exit, out)
	require.Contains(t, p.must(http.StatusOK, http.MethodGet, "/readyz", ""), `"ready":true`)
	require.Zero(t, p.stop())

	exit, out = tool(t, "rebuild", "--data", data) // and without a service
	require.Zero(t, exit, out)
	require.Contains(t, out, "generation 5 is live")
	exit, out = tool(t, "verify", "--data", data)
	require.Zero(t, exit, out)
	left, err := filepath.Glob(filepath.Join(data, "read-*.db"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(data, "read-5.db")}, left)
}

func TestARebuildThatIsKilledChangesNothing(t *testing.T) {
	slow(t)
	data := t.TempDir()
	p := startProcess(t, data)
	const integrations = 100
	for n := range integrations {
		p.must(http.StatusCreated, http.MethodPost, all, crm(fmt.Sprint("crm-", n), "t"))
	}
	for range 3 {
		killed := program(t.Context(), "rebuild", "--data", data)
		stderr, err := killed.StderrPipe()
		require.NoError(t, err)
		require.NoError(t, killed.Start())
		_, err = stderr.Read(make([]byte, 1)) // it has started
		require.NoError(t, err)
		require.NoError(t, killed.Process.Kill())
		_ = killed.Wait()
		require.Contains(t, p.must(http.StatusOK, http.MethodGet, all+"?search=crm&limit=1", ""), fmt.Sprintf(`"total":%d`, integrations))
	}
	exit, out := tool(t, "rebuild", "--data", data)
	require.Zero(t, exit, out)
	require.Eventually(t, func() bool {
		left, err := filepath.Glob(filepath.Join(data, "read-*.db"))
		return err == nil && len(left) == 1
	}, time.Minute, 10*time.Millisecond)
	exit, out = tool(t, "verify", "--data", data)
	require.Zero(t, exit, out)
}

func TestStatusTellsHowEverythingStands(t *testing.T) {
	data := t.TempDir()
	p := startProcess(t, data)
	p.must(http.StatusCreated, http.MethodPost, all, crm("crm", "t"))
	p.must(http.StatusCreated, http.MethodPost, all, crm("ehr", "t"))
	var st status.Report
	require.Zero(t, toolJSON(t, &st, "status", "--data", data))
	require.Equal(t, status.Running, st.Service)
	require.EqualValues(t, 1, st.Generation)
	require.Equal(t, status.Progress{Head: 2, Position: 2}, st.Integrations)
	require.Empty(t, st.Parked)
	require.Zero(t, st.DeadLetters)
	names := map[string]uint64{}
	for _, s := range st.Streams {
		names[s.Name] = s.Messages
	}
	require.EqualValues(t, 2, names["INTEGRATIONS"])
	require.Contains(t, names, "DEAD_LETTERS")

	address, err := os.ReadFile(filepath.Join(data, "nats.url"))
	require.NoError(t, err)
	nc, err := nats.Connect(strings.TrimSpace(string(address)))
	require.NoError(t, err)
	defer nc.Close()
	_, err = nc.Request("integrations.acme."+string(domain.NewID("acme", "crm")), []byte("?\n"), time.Minute)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		st = status.Report{}
		return toolJSON(t, &st, "status", "--data", data) == 1 && st.DeadLetters == 1 && len(st.Parked) == 1
	}, time.Minute, 10*time.Millisecond)
	require.EqualValues(t, 3, st.Parked[0].Position)
	require.EqualValues(t, 3, st.LastDead[0].Position)
	require.Contains(t, st.Parked[0].Reason, "unknown type")
	require.Eventually(t, func() bool {
		metrics := p.must(http.StatusOK, http.MethodGet, "/metrics", "")
		return strings.Contains(metrics, "integrations_parked 1\n") && strings.Contains(metrics, "integrations_log_head 3\n") &&
			strings.Contains(metrics, "integrations_projection_lag 0\n")
	}, time.Minute, 10*time.Millisecond)

	require.Contains(t, p.must(http.StatusConflict, http.MethodPut, all+"/crm", `{"enabled": false}`), "integration_parked")
	exit, exported := tool(t, "export", "--workspace", "acme", "--data", data)
	require.Equal(t, 1, exit)
	require.Contains(t, exported, "name: ehr")
	require.Contains(t, exported, "left out: integration "+string(domain.NewID("acme", "crm")))

	var again rebuilt
	require.Zero(t, toolJSON(t, &again, "rebuild", "--data", data))
	require.Equal(t, 1, again.Refused)
	require.Zero(t, p.stop())
	exit, out := tool(t, "status", "--data", data)
	require.Equal(t, 1, exit)
	for _, want := range []string{"stopped", "generation 2", "position 3 of 3", "parked: acme/", "dead letter: acme/", "unknown type"} {
		require.Contains(t, out, want)
	}
	require.NoError(t, os.Remove(filepath.Join(data, "read.generation")))
	st = status.Report{}
	require.Equal(t, 1, toolJSON(t, &st, "status", "--data", data))
	require.Contains(t, st.Problem, "no read model")
}
