// Package durablefile replaces files so that a crash leaves either the old content or
// the new one, and locks files between processes.
package durablefile

import (
	"crypto/rand"
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
		_ = os.Remove(tmp.Name()) // already renamed if only the sync of the folder failed
	}
	return err
}

// Create is Write for a file that must not exist yet: else the error is fs.ErrExist, and that
// file stays.
func Create(path string, data []byte, mode fs.FileMode) error {
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+rand.Text())
	if err := Write(tmp, data, mode); err != nil {
		return err
	}
	err := os.Link(tmp, path) // which replaces nothing
	return errors.Join(err, os.Remove(tmp), syncFolder(filepath.Dir(path)))
}

// Rename renames a file that is on disk, replacing any other, and returns once the new
// name is on disk.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(to))
}

// syncFolder syncs the entries of a folder.
func syncFolder(path string) error {
	folder, err := os.Open(path) //nolint:gosec // the folder of a file of the caller
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
