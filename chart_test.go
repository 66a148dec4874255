package integrations_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The engine of Helm and the types of Kubernetes take minutes to compile, so `make chart` renders
// the chart and decodes it, and CI checks that this was done with the files that are here.
func TestTheHelmChartIsTheOneThatWasRendered(t *testing.T) {
	const stamp = "test/helm/rendered.sha256"
	sum := sha256.New()
	for _, folder := range []string{"deploy/helm", "test/helm"} {
		err := filepath.WalkDir(folder, func(name string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || name == stamp || strings.HasSuffix(name, ".md") {
				return err
			}
			text, err := os.ReadFile(name)
			sum.Write([]byte(filepath.ToSlash(name) + "\x00" + string(text) + "\x00"))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	current := hex.EncodeToString(sum.Sum(nil)) + "\n"
	if *update {
		if err := os.WriteFile(stamp, []byte(current), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if page(t, stamp) != current {
		t.Error("deploy/helm or test/helm has changed since the chart was last rendered; run: make chart")
	}
}
