package peers

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// programs are those of test/servers that this process has built.
var programs sync.Map

// Build builds a program of test/servers, a module of its own, and returns its path.
func Build(t testing.TB, name string) string {
	t.Helper()
	built, _ := programs.LoadOrStore(name, sync.OnceValues(func() (string, error) { return build(t, name) }))
	path, err := built.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func build(t testing.TB, name string) (string, error) {
	module := filepath.Join(filepath.Dir(root(t)), "servers")
	defer alone(t, filepath.Join(module, name, "main.go"))() // not go.mod, which go locks
	path := filepath.Join(module, "bin", name)
	cmd := exec.Command("go", "build", "-C", module, "-o", path, "./"+name) // without the context of the test: others use it as well
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Logf("%s", out)
		return "", err
	}
	return path, nil
}

// StartProgram starts a program of test/servers that prints one line once it is ready,
// and returns that line and the process. The program ends with this process.
func StartProgram(t testing.TB, name string, args ...string) (line string, cmd *exec.Cmd) {
	t.Helper()
	cmd = exec.Command(Build(t, name), args...) // it ends with its standard input
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
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
	lines := bufio.NewReader(stdout)
	line, err = lines.ReadString('\n')
	if err != nil {
		_ = cmd.Process.Kill()
		t.Fatalf("%s did not start: %v", name, err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		_ = stdin.Close() // held until then: without it the program would end
	}()
	return strings.TrimSpace(line), cmd
}
