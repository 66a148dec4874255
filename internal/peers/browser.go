package peers

import (
	"bytes"
	"os/exec"
	"testing"
	"time"
)

// Browse opens a page in Chromium and returns what it came to once its scripts
// have run, as HTML, and what they said to the console. The test is skipped on a
// machine without Chromium.
func Browse(t testing.TB, url string) (html, console string) {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("NOT TESTED IN A BROWSER: there is no chromium here (Debian: apt-get install chromium)")
	}
	cmd := exec.CommandContext(t.Context(), program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--user-data-dir="+t.TempDir(),
		"--enable-logging=stderr", "--virtual-time-budget=20000", "--timeout=120000", "--dump-dom", url)
	cmd.WaitDelay = 10 * time.Second // its children may hold its output open
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("chromium: %v\n%s", err, said.String())
	}
	for line := range bytes.Lines(said.Bytes()) {
		if bytes.Contains(line, []byte("CONSOLE")) {
			console += string(line)
		}
	}
	return out.String(), console
}
