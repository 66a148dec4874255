package subscriber_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A reader copies the program of docs/subscribing.md.
func TestTheProgramOfTheDocumentCompiles(t *testing.T) {
	document, err := os.ReadFile("../docs/subscribing.md")
	require.NoError(t, err)
	_, program, found := strings.Cut(string(document), "```go\npackage main\n")
	require.True(t, found)
	program, _, _ = strings.Cut(program, "\n```\n")
	file := filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(file, []byte("package main\n"+program+"\n"), 0o600))
	for _, command := range [][]string{{"gofmt", "-l", file}, {"go", "vet", file}} {
		out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput()
		require.NoError(t, err, string(out))
		require.Empty(t, string(out))
	}
}
