package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/connectors/sandbox"
)

// sleeping is a program that prints nothing, for a number of seconds by which it
// is found.
const sleeping = `
profiles:
  - name: sleeper
    executable: /bin/sleep
    arguments: ["{seconds}"]
    slots: [{name: seconds, pattern: "[0-9]+"}]
`

func profiles(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "profiles.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return "--mcp-stdio-profiles=" + file
}

// programs returns how many processes of this machine have text in their
// arguments.
func programs(t *testing.T, text string) int {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	found := 0
	for _, name := range lines {
		if line, err := os.ReadFile(name); err == nil && strings.Contains(string(line), text) {
			found++
		}
	}
	return found
}

func TestAProgramEndsWithAServiceThatIsKilled(t *testing.T) {
	slow(t)
	if _, err := sandbox.Find(); err != nil {
		t.Skip("NOT TESTED: " + err.Error())
	}
	const seconds = "2718281"
	p := startProcess(t, t.TempDir(), profiles(t, sleeping))
	p.must(201, "POST", all, `{"name": "sleeper", "display_name": "S", "protocol": "mcp", "mcp_transport": "stdio", "mcp_command": "sleeper", "mcp_args": ["`+seconds+`"]}`)
	go func() { _, _, _ = p.do("POST", all+"/sleeper/test-connection", "") }()
	require.Eventually(t, func() bool { return programs(t, seconds) > 0 }, time.Minute, 5*time.Millisecond)
	p.kill()
	require.Eventually(t, func() bool { return programs(t, seconds) == 0 }, time.Minute, 5*time.Millisecond)
}

func TestAServiceWithWrongProfilesDoesNotStart(t *testing.T) {
	data := t.TempDir()
	for text, wants := range map[string][]string{
		"profiles: [{name: A, executable: sleep}]":                            {"lowercase", "not an absolute path"},
		"profiles: [{name: a, command: sleep}]":                               {"command"},
		"profiles: [{name: a, executable: /bin/sleep, read: [" + data + "]}]": {"what this service keeps"},
	} {
		exit, out := tool(t, "serve", "--listen=127.0.0.1:0", "--data="+data, profiles(t, text))
		require.Equal(t, 1, exit)
		for _, want := range wants {
			require.Contains(t, out, want)
		}
	}
	exit, out := tool(t, "serve", "--listen=127.0.0.1:0", "--data="+data, "--mcp-stdio-profiles=/none")
	require.Equal(t, 1, exit)
	require.Contains(t, out, "mcp-stdio-profiles")
}
