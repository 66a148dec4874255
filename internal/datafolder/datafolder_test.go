package datafolder_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/datafolder"
)

func TestOneProcessUsesADataFolder(t *testing.T) {
	f := datafolder.Folder(t.TempDir())
	lock, err := f.Lock()
	require.NoError(t, err)
	_, err = f.Lock()
	require.ErrorIs(t, err, datafolder.ErrInUse)
	require.NoError(t, lock.Close())
	lock, err = f.Lock()
	require.NoError(t, err)
	require.NoError(t, lock.Close())
}

func TestOthersCanReadNothingInADataFolder(t *testing.T) {
	f := datafolder.Folder(filepath.Join(t.TempDir(), "data"))
	require.NoError(t, f.Prepare())
	old := f.Path("old")
	require.NoError(t, os.WriteFile(old, nil, 0o600))
	require.NoError(t, os.Chmod(old, 0o644))
	outside := filepath.Join(t.TempDir(), "outside")
	require.NoError(t, os.WriteFile(outside, nil, 0o600))
	require.NoError(t, os.Chmod(outside, 0o644))
	require.NoError(t, os.Symlink(outside, f.Path("link")))
	require.NoError(t, f.Prepare())
	for path, mode := range map[string]os.FileMode{old: 0o600, outside: 0o644} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), path)
	}
}

func TestAMarkIsReadAsItWasSaved(t *testing.T) {
	f := datafolder.Folder(t.TempDir())
	m, err := f.ReadMark()
	require.NoError(t, err)
	require.Zero(t, m)

	saved := eventstore.Mark{Log: "log-1", Position: 7}
	require.NoError(t, f.SaveMark(saved))
	m, err = f.ReadMark()
	require.NoError(t, err)
	require.Equal(t, saved, m)

	require.NoError(t, os.WriteFile(f.Path("log.mark"), []byte("{"), 0o600))
	_, err = f.ReadMark()
	require.ErrorContains(t, err, "log.mark is damaged")
}

func TestARestoreGoesIntoAFolderThatNoServiceHasUsed(t *testing.T) {
	f := datafolder.Folder(t.TempDir())
	require.NoError(t, f.CheckUnused(false))
	require.NoError(t, os.Mkdir(f.Path(datafolder.NATS), 0o700))
	require.NoError(t, f.CheckUnused(true))
	require.ErrorContains(t, f.CheckUnused(false), "nats exists already")
	require.NoError(t, os.WriteFile(f.Path("read-1.db"), nil, 0o600))
	require.ErrorContains(t, f.CheckUnused(true), "read-1.db exists already")
}

func TestUndoDeletesOnlyWhatWasCreatedAfterIt(t *testing.T) {
	f := datafolder.Folder(t.TempDir())
	require.NoError(t, f.AddKeyset([]byte("before")))
	undo := f.Undo()
	require.NoError(t, os.Mkdir(f.Path(datafolder.NATS), 0o700))
	require.NoError(t, f.AddKeyset([]byte("after")))
	require.NoError(t, undo())
	require.NoDirExists(t, f.Path(datafolder.NATS))
	kept, err := f.ReadKeyset()
	require.NoError(t, err)
	require.Equal(t, "before", string(kept))
}
