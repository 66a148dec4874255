package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// testdata/released has a folder for each released version, with what it wrote: a backup, the root
// keyset and the operator's key. testdata/released/README.md describes how to add one.
func TestDataOfReleasedVersionsIsServed(t *testing.T) {
	released, err := filepath.Glob("testdata/released/*/log.backup")
	require.NoError(t, err)
	require.NotEmpty(t, released)
	for _, backup := range released {
		t.Run(filepath.Base(filepath.Dir(backup)), func(t *testing.T) { serveReleased(t, filepath.Dir(backup)) })
	}
}

func serveReleased(t *testing.T, folder string) {
	data := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.Mkdir(data, 0o700))
	for _, name := range []string{"root.keyset", "operator.key"} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(data, name), text, 0o600))
	}
	exit, out := tool(t, "restore", filepath.Join(folder, "log.backup"), "--data", data)
	require.Zero(t, exit, out)
	p := startProcess(t, data, "--probe-interval=0s")
	exit, out = tool(t, "verify", "--data", data)
	require.Zero(t, exit, out) // the read model has every event, and every secret opens

	var crm struct {
		ID        string
		Version   uint64
		Enabled   bool
		Endpoints []struct{ Name string }
	}
	require.NoError(t, json.Unmarshal([]byte(p.must(http.StatusOK, "GET", all+"/crm", "")), &crm))
	require.Equal(t, []any{uint64(2), true, 1}, []any{crm.Version, crm.Enabled, len(crm.Endpoints)})
	p.must(http.StatusOK, "GET", all+"/crm?as_of=1", "")
	p.must(http.StatusNotFound, "GET", all+"/gone", "")
	require.Contains(t, p.must(http.StatusOK, "GET", all+"/gone/history", ""), "integration.deleted")
	require.Equal(t, 2, strings.Count(p.must(http.StatusOK, "GET", all+"/crm/history", ""), `"position"`))
	require.Contains(t, p.must(http.StatusOK, "GET", "/v1/acme/webhook-destinations", ""), "https://hooks.example.com/x")
	require.Contains(t, p.must(http.StatusOK, "GET", "/v1/acme/api-keys", ""), `"name":"ci"`)
	dry := p.must(http.StatusOK, "POST", all+"/crm/endpoints/get_customer/test", `{"params": {"id": "7"}, "dry_run": true}`)
	require.Contains(t, dry, "/customers/7")
	p.must(http.StatusOK, "PUT", all+"/crm", `{"display_name": "Changed by this version"}`)
	p.must(http.StatusCreated, "POST", all, `{"name": "new", "display_name": "New", "base_url": "https://new.example.com", "auth": {"bearer_token_value": "t"}}`)
	require.Zero(t, p.stop())
}
