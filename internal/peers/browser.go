package peers

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// Browse opens a page in Chromium and returns what it came to once its scripts
// have run, as HTML, and what they logged to the console. The test is skipped on a
// machine that has no Chromium, or where it doesn't even show an empty page.
func Browse(t testing.TB, url string) (html, console string) {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("NOT TESTED IN A BROWSER: there is no chromium here (Debian: apt-get install chromium)")
	}
	if _, _, err := browse(t, program, "about:blank"); err != nil {
		t.Skip("NOT TESTED IN A BROWSER: ", err)
	}
	html, console, err = browse(t, program, url)
	if err != nil {
		t.Fatal(err)
	}
	return html, console
}

func browse(t testing.TB, program, url string) (html, console string, err error) {
	t.Helper()
	profile, err := os.MkdirTemp("", "chromium") //nolint:usetesting // its children may still write there when it has ended, which would fail the test
	if err != nil {
		return "", "", err
	}
	defer func() { _ = os.RemoveAll(profile) }()
	cmd := exec.CommandContext(t.Context(), program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--user-data-dir="+profile,
		"--enable-logging=stderr", "--virtual-time-budget=20000", "--timeout=120000", "--dump-dom", url)
	cmd.WaitDelay = 10 * time.Second // its children may hold its output open
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		return "", "", fmt.Errorf("chromium on %s: %w\n%s", url, err, stderr.String())
	}
	for line := range bytes.Lines(stderr.Bytes()) {
		if bytes.Contains(line, []byte("CONSOLE")) {
			console += string(line)
		}
	}
	return out.String(), console, nil
}
