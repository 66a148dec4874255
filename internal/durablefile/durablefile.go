// Package durablefile replaces files so that a crash leaves the old content or the
// new one, and nothing in between.
package durablefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Write replaces the content of a file and returns once it is on disk. The file
// belongs to this user and has the given mode.
func Write(path string, data []byte, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close()); err == nil {
		err = Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name()) // it has its name already when only the sync of the folder failed
	}
	return err
}

// Rename gives a file that is on disk its name, in the place of any other, and
// returns once that is on disk as well.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(to))
}

// syncFolder puts the names of a folder on disk.
func syncFolder(path string) error {
	folder, err := os.Open(path) //nolint:gosec // the folder of a file of the caller
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
