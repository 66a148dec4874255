package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatIsInTheDataFolderIsForItsOwnersEyesOnly(t *testing.T) {
	data := t.TempDir()
	old := filepath.Join(data, "of-an-earlier-version")
	require.NoError(t, os.MkdirAll(old, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(old, "read-0.db"), nil, 0o644))
	startProcess(t, data)
	files := 0
	require.NoError(t, filepath.WalkDir(data, func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := entry.Info()
		if err == nil && path != data {
			require.Zero(t, info.Mode().Perm()&0o077, path)
			files++
		}
		return nil
	}))
	require.Greater(t, files, 5)
}
