package main

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

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

// NATS is started after the service, as containers may be.
func TestTheServiceWaitsForItsStores(t *testing.T) {
	address, stop := natstest.ListenOn(t, t.TempDir(), "127.0.0.1:0")
	stop()
	data := t.TempDir()
	exit, out := tool(t, "serve", "--listen=127.0.0.1:0", "--data", data, "--nats-url=nats://user:secret@"+address, "--allow-lazy-sync")
	require.Equal(t, 1, exit)
	require.Contains(t, out, "no server answers")
	require.Contains(t, out, "--wait-for-stores")
	require.NotContains(t, out, "secret")

	p := startProcessUntil(t, data, "waiting for a store", "--nats-url=nats://"+address, "--allow-lazy-sync", "--wait-for-stores")
	_, stop = natstest.ListenOn(t, t.TempDir(), address)
	defer stop()
	key := filepath.Join(data, "operator.key")
	require.Eventually(t, func() bool {
		_, err := os.Stat(key)
		return err == nil
	}, time.Minute, 10*time.Millisecond, "the service goes on")
	require.Zero(t, p.stop())
}

func TestARootKeysetThatIsNoneIsNamed(t *testing.T) {
	data := t.TempDir()
	file := filepath.Join(data, "root.keyset")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	exit, out := tool(t, "serve", "--listen=127.0.0.1:0", "--data", data)
	require.Equal(t, 1, exit)
	require.Contains(t, out, file+" holds no root keyset (Tink JSON; it has 0 bytes)")
}
