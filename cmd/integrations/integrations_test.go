package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheDemoGoesAsItShould(t *testing.T) {
	exit, out := tool(t, "demo", "--exit")
	require.Zero(t, exit, out)
	require.Contains(t, out, "steps passed")
}

func TestWhatWasAnsweredSurvivesKill(t *testing.T) {
	data := t.TempDir()
	acknowledged := map[string]string{} // the last token that was answered with 2xx, by name
	var mu sync.Mutex
	for round := range 4 {
		p := startProcess(t, data)
		var writers sync.WaitGroup
		for w := range 4 {
			writers.Go(func() {
				for n := 0; ; n++ {
					name := fmt.Sprintf("crm-%d-%d-%d", round, w, n)
					status, _, err := p.do(http.MethodPost, all, crm(name, "t0"))
					if err != nil {
						return // killed
					}
					mu.Lock()
					acknowledged[name] = map[bool]string{true: "created"}[status == http.StatusCreated]
					mu.Unlock()
					if status, _, err = p.do(http.MethodPut, all+"/"+name, `{"display_name": "changed", "auth": {"bearer_token_value": "t1"}}`); err != nil {
						return
					}
					mu.Lock()
					if status == http.StatusOK {
						acknowledged[name] = "changed"
					}
					mu.Unlock()
				}
			})
		}
		enough := 25 * (round + 1)
		require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(acknowledged) >= enough }, time.Minute, time.Millisecond)
		p.kill()
		writers.Wait()
		exit, out := tool(t, "verify", "--data", data)
		require.Zero(t, exit, out)
	}
	p := startProcess(t, data)
	for name, state := range acknowledged {
		require.NotEmpty(t, state, name)
		answer := p.must(http.StatusOK, http.MethodGet, all+"/"+name, "")
		if state == "changed" {
			require.Contains(t, answer, `"display_name":"changed"`, name)
		}
	}
	exit, out := tool(t, "verify", "--data", data, "--json")
	require.Zero(t, exit, out)
	require.Contains(t, out, `"problems":[]`, "while the service runs as well")
}

func TestADeletedReadModelIsBuiltAnew(t *testing.T) {
	data := t.TempDir()
	p := startProcess(t, data, "--probe-interval=0s")
	for n := range 20 {
		p.must(http.StatusCreated, http.MethodPost, all, crm(fmt.Sprint("crm-", n), "t"))
	}
	p.must(http.StatusNoContent, http.MethodDelete, all+"/crm-3", "")
	p.must(http.StatusOK, http.MethodPut, all+"/crm-4", `{"enabled": false}`)
	list := p.must(http.StatusOK, http.MethodGet, all+"?limit=200&sort_by=name", "")
	require.Zero(t, p.stop())
	files, err := filepath.Glob(filepath.Join(data, "read*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		require.NoError(t, os.Remove(f))
	}
	p = startProcess(t, data, "--probe-interval=0s")
	require.Equal(t, list, p.must(http.StatusOK, http.MethodGet, all+"?limit=200&sort_by=name", ""), "a service that is ready shows everything")
}

func TestReplacedAndDeletedSecretsAreGoneFromTheDataFolder(t *testing.T) {
	data := t.TempDir()
	p := startProcess(t, data)
	const planted = "planted-canary-77ab"
	p.must(http.StatusCreated, http.MethodPost, all, crm("crm", planted+"-first"))
	p.must(http.StatusOK, http.MethodPut, all+"/crm", `{"auth": {"bearer_token_value": "`+planted+`-second"}}`)
	p.must(http.StatusUnprocessableEntity, http.MethodPut, all+"/crm", `{"auth": {"bearer_token_value": "`+planted+`\n"}}`)
	p.must(http.StatusNoContent, http.MethodDelete, all+"/crm", "")
	require.Zero(t, p.stop())
	forms := [][]byte{[]byte(planted), []byte(base64.StdEncoding.EncodeToString([]byte(planted + "-first")))}
	require.NoError(t, filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		for _, form := range forms {
			require.False(t, bytes.Contains(content, form), path)
		}
		return err
	}))
}

func TestVerifyFindsWhatIsWrong(t *testing.T) {
	data := t.TempDir()
	p := startProcess(t, data)
	p.must(http.StatusCreated, http.MethodPost, all, crm("crm", "t"))
	require.Zero(t, p.stop())
	exit, out := tool(t, "verify", "--data", data)
	require.Zero(t, exit, out)

	other := t.TempDir()
	q := startProcess(t, other)
	q.must(http.StatusCreated, http.MethodPost, all, crm("ehr", "t"))
	require.Zero(t, q.stop())
	right, err := os.ReadFile(filepath.Join(data, "read-1.db"))
	require.NoError(t, err)
	wrong, err := os.ReadFile(filepath.Join(other, "read-1.db"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(data, "read-1.db"), wrong, 0o600))
	exit, out = tool(t, "verify", "--data", data)
	require.Equal(t, 1, exit, out)
	require.Contains(t, out, "wrong:")

	require.NoError(t, os.WriteFile(filepath.Join(data, "read-1.db"), right, 0o600))
	keyset, err := os.ReadFile(filepath.Join(other, "root.keyset"))
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(data, "root.keyset")))
	require.NoError(t, os.WriteFile(filepath.Join(data, "root.keyset"), keyset, 0o600))
	exit, out = tool(t, "verify", "--data", data)
	require.Equal(t, 1, exit)
	require.Contains(t, out, "root keyset")
}

func TestTheToolsWorkWhetherOrNotTheServiceRuns(t *testing.T) {
	data := t.TempDir()
	p := startProcess(t, data)
	p.must(http.StatusCreated, http.MethodPost, all, crm("crm", "t"))
	p.must(http.StatusOK, http.MethodPut, all+"/crm", `{"display_name": "CRM 2"}`)

	_, running := tool(t, "history", "crm", "--workspace", "acme", "--data", data)
	require.Contains(t, running, "integration.updated")
	require.Contains(t, running, `/display_name: "CRM" -> "CRM 2"`)
	exit, made := tool(t, "keys", "create", "--data", data, "--workspace", "acme", "--name", "reader", "--permission", "Integration.view")
	require.Zero(t, exit, made)
	operator := p.key
	p.key = strings.SplitN(made, "\n", 2)[0]
	require.Eventually(t, func() bool {
		status, _, err := p.do(http.MethodGet, all+"/crm", "")
		return err == nil && status == http.StatusOK
	}, time.Minute, time.Millisecond)
	p.must(http.StatusForbidden, http.MethodDelete, all+"/crm", "")
	p.key = operator

	exit, out := tool(t, "keys", "rotate-root", "--data", data)
	require.Zero(t, exit, out)
	require.Contains(t, out, "3 of 3 secrets rewrapped, 0 remain", "also the key of the workspace, and what leads to it")
	p.must(http.StatusCreated, http.MethodPost, all, crm("after-rotation", "t"))
	exit, out = tool(t, "verify", "--data", data)
	require.Zero(t, exit, out)

	exit, out = tool(t, "healthcheck", "--url", p.url)
	require.Zero(t, exit, out)
	require.Zero(t, p.stop())
	exit, _ = tool(t, "healthcheck", "--url", p.url)
	require.Equal(t, 1, exit)

	_, stopped := tool(t, "history", "crm", "--workspace", "acme", "--data", data)
	require.Equal(t, running, stopped)
	exit, out = tool(t, "verify", "--data", data)
	require.Zero(t, exit, out)
	exit, out = tool(t, "keys", "list", "--data", data, "--workspace", "acme")
	require.Zero(t, exit, out)
	require.Contains(t, out, "reader")
}

func TestTwoServicesDoNotShareADataFolder(t *testing.T) {
	data := t.TempDir()
	p := startProcess(t, data)
	exit, out := tool(t, "serve", "--listen=127.0.0.1:0", "--data", data)
	require.Equal(t, 1, exit)
	require.Contains(t, out, "another integrations process uses this data folder")
	p.must(http.StatusOK, http.MethodGet, all, "")
}

func TestAWrongCommandLineSaysWhatIsWrong(t *testing.T) {
	for want, args := range map[string][]string{
		"unexpected argument":              {"sreve"},
		"unknown flag":                     {"serve", "--lissten=x"},
		"--egress-allow-cidr":              {"serve", "--data", t.TempDir(), "--egress-allow-cidr=10.0.0.0"},
		"every address":                    {"serve", "--data", t.TempDir(), "--listen=127.0.0.1:0", "--egress-allow-cidr=0.0.0.0/0"},
		"there is no log in":               {"history", "crm", "--workspace", "acme", "--data", t.TempDir()},
		"--workspace=STRING or --operator": {"keys", "create", "--data", t.TempDir(), "--name", "x", "--permission", "Integration.view"},
		"must not be negative":             {"keys", "create", "--operator", "--data", t.TempDir(), "--name", "x", "--permission", "Integration.view", "--expires=-1h"},
		"a key needs a name":               {"keys", "create", "--workspace", "acme", "--data", t.TempDir(), "--name", "", "--permission", "Integration.view"},
		"is not a permission":              {"keys", "create", "--workspace", "acme", "--data", t.TempDir(), "--name", "x", "--permission", "everything"},
		"a workspace id is":                {"history", "crm", "--workspace", "a.b", "--data", t.TempDir()},
		"missing flags: --workspace":       {"history", "crm", "--data", t.TempDir()},
		"no such integration":              {"history", "crm", "--workspace", "acme", "--data", emptyData(t)},
		"can't determine whether":          {"serve", "--data", t.TempDir(), "--nats-url", natsWithoutMonitor(t)},
	} {
		exit, out := tool(t, args...)
		require.NotZero(t, exit, args)
		require.Contains(t, out, want, args)
	}
	exit, out := tool(t, "--help")
	require.Zero(t, exit)
	require.Contains(t, out, "serve")
	exit, out = tool(t, "version")
	require.Zero(t, exit)
	require.Contains(t, out, "integrations")
}

// emptyData is the data folder of a service that has run and kept nothing.
func emptyData(t *testing.T) string {
	t.Helper()
	data := t.TempDir()
	require.Zero(t, startProcess(t, data).stop())
	return data
}
