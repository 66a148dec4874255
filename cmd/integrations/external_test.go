package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/natstest"
)

// natsWithoutMonitor is a NATS server that nobody can ask whether it syncs.
func natsWithoutMonitor(t *testing.T) string {
	t.Helper()
	return "nats://" + natstest.Listen(t)
}

func TestTheServiceRunsOnANATSServerThatSyncs(t *testing.T) {
	address, monitor := natstest.ListenMonitored(t, true)
	p := startProcess(t, t.TempDir(), "--nats-url=nats://"+address, "--nats-monitor-url="+monitor)
	p.must(http.StatusCreated, http.MethodPost, all, crm("crm", "t"))
	p.must(http.StatusOK, http.MethodGet, all+"/crm", "")
	p.must(http.StatusOK, http.MethodGet, "/readyz", "")
	exit, out := tool(t, "verify", "--data", p.data, "--nats-url=nats://"+address)
	require.Zero(t, exit, out)
}

func TestTheServiceRefusesANATSServerThatDoesNotSync(t *testing.T) {
	address, monitor := natstest.ListenMonitored(t, false)
	exit, out := tool(t, "serve", "--listen=127.0.0.1:0", "--data", t.TempDir(), "--nats-url=nats://"+address, "--nats-monitor-url="+monitor)
	require.Equal(t, 1, exit)
	require.Contains(t, out, "sync_interval: always")
	p := startProcess(t, t.TempDir(), "--nats-url=nats://"+address, "--allow-lazy-sync")
	p.must(http.StatusCreated, http.MethodPost, all, crm("crm", "t"))
}
