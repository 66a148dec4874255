package helm_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The schemas of Kubernetes also know what is required, and which values are allowed.
func TestTheSchemasOfKubernetesAllowWhatTheChartRenders(t *testing.T) {
	validate := validator(t)
	for _, values := range []string{defaults, external, everything} {
		files, err := render(values)
		if err != nil {
			t.Fatal(err)
		}
		var objects []string
		for name, text := range files {
			if strings.HasSuffix(name, ".txt") || strings.HasSuffix(name, ".tpl") {
				continue
			}
			for document := range strings.SplitSeq(text, "\n---\n") {
				if !strings.Contains(document, "\nkind:") && !strings.HasPrefix(document, "kind:") || strings.Contains(document, "kind: ServiceMonitor") { // which is not of Kubernetes
					continue
				}
				objects = append(objects, document)
			}
		}
		if problems, err := validate(t, objects...); err != nil {
			t.Errorf("%v\n%s", err, problems)
		}
		if len(objects) < 15 {
			t.Errorf("only %d objects were found", len(objects))
		}
		t.Logf("%d objects", len(objects))
	}

	const unfinished = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{name: a, image: b}]}}}\n"
	if problems, err := validate(t, unfinished); err == nil || !strings.Contains(problems, "selector") {
		t.Errorf("a Deployment without a selector is accepted: %s", problems)
	}
}

// validator returns the validator of requirements.txt, which it installs.
func validator(t *testing.T) func(t *testing.T, documents ...string) (problems string, err error) {
	t.Helper()
	if exec.Command("python3", "-c", "import ensurepip, venv").Run() != nil {
		t.Skip("NOT TESTED: there is no python3 with venv here")
	}
	folder := t.TempDir()
	for _, command := range [][]string{
		{"python3", "-m", "venv", folder},
		{filepath.Join(folder, "bin", "pip"), "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--disable-pip-version-check", "-r", "requirements.txt"},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
	}
	return func(t *testing.T, documents ...string) (string, error) {
		t.Helper()
		args := []string{"--strict", "-k", "1.37.0"}
		for n, document := range documents {
			file := filepath.Join(folder, fmt.Sprintf("object-%d.yaml", n))
			if err := os.WriteFile(file, []byte(document), 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, file)
		}
		out, err := exec.Command(filepath.Join(folder, "bin", "kubernetes-validate"), args...).CombinedOutput()
		return string(out), err
	}
}
