package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/powercut"
)

const callList = all + "/crm/endpoints/list/invoke"

// withEndpoint creates an integration with an endpoint, and returns how often that was called.
func withEndpoint(t *testing.T, p *process) *atomic.Int64 {
	t.Helper()
	var got atomic.Int64
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/list" {
			got.Add(1)
		}
	}))
	t.Cleanup(upstream.Close)
	p.must(http.StatusCreated, http.MethodPost, all, fmt.Sprintf(
		`{"name": "crm", "display_name": "CRM", "base_url": %q, "endpoints": [{"name": "list", "description": "d", "path": "/list"}]}`, upstream.URL))
	return &got
}

// recordedCalls returns how many calls are recorded.
func recordedCalls(t *testing.T, p *process) int64 {
	t.Helper()
	ids, token := map[string]bool{}, ""
	for {
		var page struct {
			Items []struct {
				RequestID string `json:"request_id"`
			}
			HasMore bool   `json:"has_more"`
			Token   string `json:"continuation_token"`
		}
		require.NoError(t, json.Unmarshal([]byte(p.must(http.StatusOK, http.MethodGet, all+"/calls?limit=200"+token, "")), &page))
		for _, c := range page.Items {
			require.False(t, ids[c.RequestID], "a call is recorded once")
			ids[c.RequestID] = true
		}
		if !page.HasMore {
			return int64(len(ids))
		}
		token = "&continuation_token=" + page.Token
	}
}

func TestAKilledServiceHasRecordedEveryCallThatItAnswered(t *testing.T) {
	slow(t)
	const callers, rounds = 8, 3
	data := t.TempDir()
	p := startProcess(t, data, "--probe-interval=0s", "--rate-call=0")
	got := withEndpoint(t, p)
	var answered atomic.Int64
	for round := range rounds {
		var calling sync.WaitGroup
		for range callers {
			calling.Go(func() {
				for {
					status, _, err := p.do(http.MethodPost, callList, `{}`)
					if err != nil {
						return
					}
					if status == http.StatusOK {
						answered.Add(1)
					}
				}
			})
		}
		enough := int64(round+1) * 100
		require.Eventually(t, func() bool { return answered.Load() >= enough }, time.Minute, time.Millisecond)
		p.kill()
		calling.Wait()
		p = startProcess(t, data, "--probe-interval=0s", "--rate-call=0")
		recorded := recordedCalls(t, p)
		t.Logf("%d calls reached the upstream, %d were answered, %d are recorded", got.Load(), answered.Load(), recorded)
		require.GreaterOrEqual(t, recorded, answered.Load())
		require.LessOrEqual(t, recorded, got.Load())
	}
}

func TestAPowerCutTakesNoCallThatWasRead(t *testing.T) {
	const before, after = 20, 20
	disk := powercut.New(t)
	p := startProcess(t, disk.Dir(), "--probe-interval=0s")
	withEndpoint(t, p)
	call := func(times int) {
		for range times {
			p.must(http.StatusOK, http.MethodPost, callList, `{}`)
		}
	}
	call(before)
	require.Equal(t, int64(before), recordedCalls(t, p))
	call(after)
	disk.Cut(p.cmd.Process)
	p.kill()
	disk.Mount()
	p = startProcess(t, disk.Dir(), "--probe-interval=0s")
	recorded := recordedCalls(t, p)
	t.Logf("of %d calls after the last that was read, the cut took %d", after, before+after-recorded)
	require.GreaterOrEqual(t, recorded, int64(before))
	require.LessOrEqual(t, recorded, int64(before+after))
	call(1)
	require.Equal(t, recorded+1, recordedCalls(t, p))
	exit, out := tool(t, "verify", "--data", p.data)
	require.Zero(t, exit, out)
}
