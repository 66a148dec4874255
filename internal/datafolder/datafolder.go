// Package datafolder is the folder in which a service keeps its keys and, by
// default, its log and its read model. One process uses it at a time, and only its
// owner can read what is in it.
package datafolder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/seed677028b5/integrations/internal/durablefile"
)

// Names in the folder.
const (
	Keyset      = "root.keyset"   // the root key, as Tink JSON
	OperatorKey = "operator.key"  // the first API key, which is valid in every workspace
	NATS        = "nats"          // the folder of the embedded NATS server
	Calls       = "calls.journal" // calls that are not in the log of calls yet
	NATSURL     = "nats.url"      // where the embedded server listens, for the tools
	markName    = "log.mark"
	lockName    = "lock"
)

// ErrInUse reports that another process uses the folder.
var ErrInUse = errors.New("another integrations process uses this data folder")

// A Folder is the path of a data folder.
type Folder string

// Path returns the path of a file in the folder.
func (f Folder) Path(name string) string { return filepath.Join(string(f), name) }

// Prepare creates the folder and removes the rights of others on everything in it.
// It also sets the umask of the process: libraries create databases and logs with
// modes of their own.
func (f Folder) Prepare() error {
	syscall.Umask(0o077)
	if err := f.Create(); err != nil {
		return err
	}
	root, err := os.OpenRoot(string(f)) // so that no link leads out of it
	if err != nil {
		return fmt.Errorf("open data folder: %w", err)
	}
	defer func() { _ = root.Close() }()
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrPermission) { // of another user, such as lost+found
			return fs.SkipDir
		}
		if err != nil {
			return err
		}
		if entry.Type()&fs.ModeSymlink != 0 || path == "." { // the owner decides on the mode of the folder itself
			return nil
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			err = root.Chmod(path, info.Mode().Perm()&^0o077)
		}
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) { // deleted meanwhile, or of another user
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("make the content of the data folder private: %w", err)
	}
	return nil
}

// Create creates the folder where it does not exist.
func (f Folder) Create() error {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return fmt.Errorf("create data folder: %w", err)
	}
	return nil
}

// Lock locks the folder for this process until the file is closed or the process
// ends. It returns ErrInUse when another process has locked it.
func (f Folder) Lock() (*os.File, error) {
	file, err := durablefile.Lock(f.Path(lockName))
	if errors.Is(err, durablefile.ErrLocked) {
		return nil, ErrInUse
	}
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	return file, nil
}
