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

// programs are those that this process has built.
var programs sync.Map

// Build builds a program of test/servers, or one that is a module of its own beside it, and returns its path.
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
	folder := filepath.Join(filepath.Dir(root(t)), "servers", name)
	path := filepath.Join(filepath.Dir(folder), "bin", name)
	if own := filepath.Join(filepath.Dir(root(t)), name); exists(filepath.Join(own, "go.mod")) {
		folder = own
	}
	defer alone(t, filepath.Join(folder, "main.go"))()                             // not go.mod, which go locks
	cmd := exec.Command("go", "build", "-C", folder, "-trimpath", "-o", path, ".") // without the context of the test: others use it as well
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Logf("%s", out)
		return "", err
	}
	return path, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
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

// BuildPackage builds a program of a module that this one requires, by the path of its package, and
// returns its path.
func BuildPackage(t testing.TB, pkg string) string {
	t.Helper()
	built, _ := programs.LoadOrStore(pkg, sync.OnceValues(func() (string, error) {
		at := filepath.Join(filepath.Dir(root(t)), "servers", "bin", filepath.Base(pkg))
		defer alone(t, filepath.Join(root(t), "package.json"))()
		cmd := exec.Command("go", "build", "-o", at, pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Logf("%s", out)
		}
		return at, err
	}))
	path, err := built.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
