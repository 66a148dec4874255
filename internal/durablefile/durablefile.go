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
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder puts the names of a folder on disk.
func syncFolder(path string) error {
	folder, err := os.Open(path) //nolint:gosec // the folder of a file of the caller
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
