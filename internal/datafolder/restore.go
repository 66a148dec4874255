package datafolder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed677028b5/integrations/internal/durablefile"
)

// CheckUnused returns an error when a service has used the folder, so that a restore
// would mix two services. WithNATS ignores the folder of the embedded NATS server.
func (f Folder) CheckUnused(withNATS bool) error {
	patterns := []string{markName, "read-*"}
	if !withNATS {
		patterns = append(patterns, NATS)
	}
	for _, pattern := range patterns {
		found, err := filepath.Glob(f.Path(pattern))
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return fmt.Errorf("%s exists already: restore into a folder that no service has used", found[0])
		}
	}
	return nil
}

// Undo returns a function that deletes the log and the root keyset that were created
// in the folder after Undo, so that a failed restore can be tried again.
func (f Folder) Undo() func() error {
	var created []string
	for _, name := range []string{NATS, Keyset} {
		if _, err := os.Lstat(f.Path(name)); errors.Is(err, fs.ErrNotExist) {
			created = append(created, f.Path(name))
		}
	}
	return func() error {
		var failed error
		for _, path := range created {
			failed = errors.Join(failed, os.RemoveAll(path))
		}
		return failed
	}
}

// HasKeyset reports whether the root keyset is in the folder.
func (f Folder) HasKeyset() bool {
	_, err := os.Stat(f.Path(Keyset))
	return err == nil
}

// ReadKeyset returns the root keyset in the folder.
func (f Folder) ReadKeyset() ([]byte, error) {
	text, err := os.ReadFile(f.Path(Keyset))
	if err != nil {
		return nil, fmt.Errorf("read the root keyset: %w", err)
	}
	return text, nil
}

// AddKeyset writes the root keyset, unless the folder has one.
func (f Folder) AddKeyset(text []byte) error {
	if f.HasKeyset() {
		return nil
	}
	return durablefile.Write(f.Path(Keyset), text, 0o400)
}
