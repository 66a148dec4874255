package durablefile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/durablefile"
)

func TestAFileIsReplacedWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, text := range []string{"first", "the second one, which is longer", ""} {
		require.NoError(t, durablefile.Write(path, []byte(text), 0o400))
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, text, string(got))
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o400), info.Mode())
	}
}

func TestAFailedWriteLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "taken"), 0o700))
	require.Error(t, durablefile.Write(filepath.Join(dir, "taken"), []byte("x"), 0o600), "a folder has this name")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.ErrorIs(t, durablefile.Write(filepath.Join(dir, "none", "file"), nil, 0o600), fs.ErrNotExist)
}

func TestALockIsExclusiveOrShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	one, err := durablefile.LockShared(path)
	require.NoError(t, err)
	other, err := durablefile.LockShared(path)
	require.NoError(t, err)
	_, err = durablefile.Lock(path)
	require.ErrorIs(t, err, durablefile.ErrLocked)
	require.NoError(t, one.Close())
	require.NoError(t, other.Close())
	alone, err := durablefile.Lock(path)
	require.NoError(t, err)
	_, err = durablefile.LockShared(path)
	require.ErrorIs(t, err, durablefile.ErrLocked)
	require.NoError(t, alone.Close())
	_, err = durablefile.Lock(filepath.Join(path, "none"))
	require.Error(t, err)
	require.NotErrorIs(t, err, durablefile.ErrLocked)
}
