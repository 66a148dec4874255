package main

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/ferrettest"
	"github.com/seed677028b5/integrations/transparency"
)

func TestAWorkspaceIsErasedWhileTheServiceRunsAndEveryProofStaysGood(t *testing.T) {
	slow(t)
	t.Run("with SQLite", func(t *testing.T) { eraseWorkspace(t) })
	t.Run("with MongoDB", func(t *testing.T) { eraseWorkspace(t, "--mongodb-uri="+ferrettest.Listen(t)) })
}

// eraseWorkspace erases a workspace of a service with a read model.
func eraseWorkspace(t *testing.T, model ...string) {
	t.Helper()
	data, held := t.TempDir(), filepath.Join(t.TempDir(), "held.txt")
	p := startProcess(t, data, append(model, "--checkpoints-to", held, "--checkpoints-every=1s", "--probe-interval=0s")...)
	tool := func(t *testing.T, args ...string) (int, string) {
		t.Helper()
		if args[0] == "erase" || args[0] == "verify" { // which use the read model
			args = append(args, model...)
		}
		return tool(t, args...)
	}
	p.must(http.StatusCreated, http.MethodPost, all, crm("a1", "secret-a1"))
	p.must(http.StatusCreated, http.MethodPost, "/v1/globex/integrations", crm("ehr", "t"))
	holds(t, held, transparency.Integrations, 2)
	before := auditExported(t, data, "--checkpoint", held)
	text, err := os.ReadFile(held)
	require.NoError(t, err)
	earlier := filepath.Join(t.TempDir(), "earlier.txt")
	require.NoError(t, os.WriteFile(earlier, text, 0o600))
	require.Contains(t, p.must(http.StatusOK, http.MethodGet, all+"/events", ""), `"address":"127.0.0.1"`)

	exit, out := tool(t, "erase", "--workspace=acme", "--data", data)
	require.Equal(t, 1, exit, out)
	require.Contains(t, out, "it was not confirmed")
	p.must(http.StatusOK, http.MethodGet, all+"/a1", "")
	exit, out = tool(t, "erase", "--workspace=acme", "--yes", "--data", data)
	require.Zero(t, exit, out)
	require.Contains(t, out, "erased the workspace acme: 1 integrations, ")
	exit, out = tool(t, "erase", "--workspace=globex", "--subject=nobody", "--yes", "--json", "--data", data)
	require.Zero(t, exit, out)
	require.Contains(t, out, `"subjects":["nobody"],"persons":0,"authorizations":0`)

	p.must(http.StatusNotFound, http.MethodGet, all+"/a1", "")
	events := p.must(http.StatusOK, http.MethodGet, all+"/events", "")
	require.Contains(t, events, `"address":"erased"`)
	require.NotContains(t, events, "127.0.0.1")
	require.Contains(t, p.must(http.StatusOK, http.MethodGet, "/v1/globex/integrations/events", ""), `"address":"127.0.0.1"`)
	require.Contains(t, p.must(http.StatusOK, http.MethodGet, "/v1/acme/access-events?type=access.erased", ""), `"erased":[]`)
	exit, out = tool(t, "history", "a1", "--workspace=acme", "--json", "--data", data)
	require.Zero(t, exit, out)
	require.Contains(t, out, `"address":"erased"`)
	exit, out = tool(t, "replay", "--workspace=acme", "--data", data)
	require.Zero(t, exit, out)
	require.NotContains(t, out, "127.0.0.1")

	holds(t, held, transparency.Integrations, 3)
	for _, export := range []string{before, auditExported(t, data, "--checkpoint", held)} {
		exit, out = tool(t, "audit", "verify", export, "--checkpoint", earlier)
		require.Zero(t, exit, out)
	}
	exit, out = tool(t, "verify", "--checkpoint", held, "--data", data)
	require.Zero(t, exit, out)
	require.Zero(t, p.stop())
	exit, out = tool(t, "erase", "--workspace=acme", "--yes", "--data", data)
	require.Zero(t, exit, out)
	require.Contains(t, out, "erased the workspace acme: 0 integrations, 0 secrets, 1 keys of persons, 0 API keys, 0 webhook destinations, 0 messages", "its key is of the operator's requests since")
	exit, out = tool(t, "verify", "--checkpoint", held, "--data", data)
	require.Zero(t, exit, out)
}
