package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// RunNode runs a file of test/peers to its end with options as JSON, and decodes
// what it prints, one JSON value, into result. The test is skipped on a machine
// without node or npm.
func RunNode(t testing.TB, file string, options, result any) {
	t.Helper()
	run(t, Dir(t), Node(t), file, options, result)
}

// RunPython is RunNode for a file in Python. The test is skipped on a machine
// without Python 3.11 or pip.
func RunPython(t testing.TB, file string, options, result any) {
	t.Helper()
	run(t, root(t), Python(t), file, options, result)
}

func run(t testing.TB, dir, program, file string, options, result any) {
	t.Helper()
	argument, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, file, string(argument))
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, result)
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", file, err, out, stderr.String())
	}
}

// Python returns the interpreter of a virtual environment in test/peers that has
// the packages of requirements.txt and no others.
func Python(t testing.TB) string {
	t.Helper()
	dir := root(t)
	requirements := filepath.Join(dir, "requirements.txt")
	defer alone(t, requirements)()
	wanted, err := os.ReadFile(requirements)
	if err != nil {
		t.Fatal(err)
	}
	venv := filepath.Join(dir, ".venv")
	done, interpreter := filepath.Join(venv, "requirements.txt"), filepath.Join(venv, "bin", "python3")
	if installed, err := os.ReadFile(done); err == nil && bytes.Equal(installed, wanted) {
		return interpreter
	}
	const install = "Install Python 3.11 or later with venv and pip (Debian: apt-get install python3-venv)."
	found, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("NOT TESTED WITH PYTHON: there is no python3 on this machine. " + install)
	}
	check := "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))"
	if out, err := exec.CommandContext(t.Context(), found, "-c", check).CombinedOutput(); err != nil {
		t.Skip("NOT TESTED WITH PYTHON: python3 is too old, or lacks venv or pip. " + install + "\n" + string(out))
	}
	for _, step := range [][]string{
		{found, "-m", "venv", "--clear", venv},
		pip(interpreter, requirements),
	} {
		if out, err := exec.CommandContext(t.Context(), step[0], step[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(step, " "), err, out)
		}
	}
	if err := os.WriteFile(done, wanted, 0o600); err != nil { // last: what is there is whole
		t.Fatal(err)
	}
	return interpreter
}

// pip returns the command that installs what a file lists. What is imported is compiled
// then, and most is not.
func pip(interpreter, requirements string, more ...string) []string {
	return append([]string{interpreter, "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps", "--only-binary", ":all:", "--disable-pip-version-check", "-r", requirements}, more...)
}

// packages returns the folder with the packages of requirements-<name>.txt, some of which
// take the place of those of requirements.txt.
func packages(t testing.TB, interpreter, name string) string {
	t.Helper()
	requirements := filepath.Join(root(t), "requirements-"+name+".txt")
	defer alone(t, requirements)()
	wanted, err := os.ReadFile(requirements)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root(t), ".venv", "packages-"+name)
	done := filepath.Join(dir, "requirements.txt")
	if installed, err := os.ReadFile(done); err == nil && bytes.Equal(installed, wanted) {
		return dir
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	step := pip(interpreter, requirements, "--target", dir)
	if out, err := exec.CommandContext(t.Context(), step[0], step[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(step, " "), err, out)
	}
	if err := os.WriteFile(done, wanted, 0o600); err != nil { // last: what is there is whole
		t.Fatal(err)
	}
	return dir
}

// RunCode runs a program in Python, such as one of a document, and returns what it prints.
// The packages are those of requirements.txt and, unless it is "", of requirements-<extra>.txt.
// The test is skipped as by RunPython.
func RunCode(t testing.TB, extra, code string, env ...string) string {
	t.Helper()
	interpreter := Python(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, interpreter, "-")
	cmd.Dir, cmd.Stdin = t.TempDir(), strings.NewReader(code)
	cmd.Env = append(os.Environ(), env...)
	if extra != "" {
		cmd.Env = append(cmd.Env, "PYTHONPATH="+packages(t, interpreter, extra))
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s%s", err, code, out, stderr.String())
	}
	return string(out)
}
