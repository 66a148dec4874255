package main

import (
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// listenTo opens the stream of events. It is open as long as reading it blocks.
func (p *process) listenTo() (status int, stream io.ReadCloser) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url+all+"/events/stream", http.NoBody)
	require.NoError(p.t, err)
	req.Header.Set("Authorization", "Bearer "+p.key)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(p.t, err)
	return resp.StatusCode, resp.Body
}

// A load balancer sends listeners as well until it sees that /readyz is red.
func TestListenersAreServedUntilTheDrainDelayIsOver(t *testing.T) {
	slow(t)
	p := startProcess(t, t.TempDir(), "--drain-delay=3s")
	status, early := p.listenTo()
	require.Equal(t, http.StatusOK, status)
	t.Cleanup(func() { _ = early.Close() })
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool {
		status, _, err := p.do(http.MethodGet, "/readyz", "")
		return err == nil && status == http.StatusServiceUnavailable
	}, time.Minute, 5*time.Millisecond)
	status, late := p.listenTo()
	t.Cleanup(func() { _ = late.Close() })
	require.Equal(t, http.StatusOK, status)
	p.must(http.StatusCreated, http.MethodPost, all, crm("crm", "t"))
	for _, stream := range []io.Reader{early, late} {
		events, err := io.ReadAll(stream) // until the service ends it
		require.NoError(t, err)
		require.Contains(t, string(events), "integration.created")
	}
	<-p.done
	require.Zero(t, p.cmd.ProcessState.ExitCode())
}
