package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
)

// blocks returns the code of a language in a document.
func blocks(t *testing.T, document, language string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", document))
	require.NoError(t, err)
	var all []string
	for _, block := range strings.Split(string(text), "\n```"+language+"\n")[1:] {
		code, _, closed := strings.Cut(block, "\n```\n")
		require.True(t, closed)
		all = append(all, code)
	}
	return all
}

var startsUpstream = regexp.MustCompile(`(?m)^python3 -m http\.server 9000 .*$`)

// The commands are those of README.md, on other ports and in another folder.
func TestTheCommandsOfTheREADMEWorkInTheirOrder(t *testing.T) {
	for _, needed := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(needed); err != nil {
			t.Skipf("NOT TESTED: there is no %s here", needed)
		}
	}
	dir := t.TempDir()
	p := startProcess(t, filepath.Join(dir, "data"))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "bin"), 0o700))
	program := fmt.Sprintf("#!/bin/sh\nRUN_AS_INTEGRATIONS=1 exec %q \"$@\"\n", os.Args[0])
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bin", "integrations"), []byte(program), 0o700))
	clinic := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(dir, "clinic"))))
	defer clinic.Close()

	commands := blocks(t, "README.md", "sh")
	first := 2 // behind the demo, and behind the build
	require.Contains(t, commands[first-1], "integrations serve --egress-allow-loopback")
	script := strings.Join(commands[first:first+3], "\n")
	require.True(t, startsUpstream.MatchString(script))
	script = startsUpstream.ReplaceAllString(script, "")
	script = strings.NewReplacer("http://127.0.0.1:8080", p.url, "http://127.0.0.1:9000", clinic.URL, "/tmp/clinic", filepath.Join(dir, "clinic")).Replace(script)
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), `"name":"scheduling"`)
	require.Contains(t, string(out), `"secrets":{"api_key_value":{"set":true`)
	require.Contains(t, string(out), `"final_result":"{\"day\":\"monday\",\"slots\":[\"09:00\",\"09:30\"]}"`)
}

func TestTheServiceRunsOnTheDocumentedNATSServer(t *testing.T) {
	file := filepath.Join(t.TempDir(), "nats.conf")
	require.NoError(t, os.WriteFile(file, []byte(blocks(t, "docs/subscribing.md", "conf")[0]), 0o600))
	o, err := server.ProcessConfigFile(file)
	require.NoError(t, err)
	o.Port, o.HTTPPort, o.StoreDir, o.NoSigs, o.NoLog = server.RANDOM_PORT, server.RANDOM_PORT, t.TempDir(), true, true
	srv, err := server.NewServer(o)
	require.NoError(t, err)
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	require.True(t, srv.ReadyForConnections(time.Minute))
	url := strings.Replace(srv.ClientURL(), "nats://", "nats://service:change-me@", 1)
	p := startProcess(t, t.TempDir(), "--nats-url="+url, "--nats-monitor-url=http://"+srv.MonitorAddr().String())
	p.must(http.StatusOK, http.MethodGet, "/readyz", "")
}
