package access

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// EnsureOperator makes sure that file holds a valid operator key, readable by
// its owner only. It reports whether it had to make one. A file that is there
// and holds no valid key is replaced, since its key opens nothing.
func (k *Keys) EnsureOperator(ctx context.Context, file string) (made bool, err error) {
	text, err := os.ReadFile(file) //nolint:gosec // the operator's own data folder
	switch {
	case err == nil:
		if key, err := k.Authenticate(ctx, strings.TrimSpace(string(text))); err == nil && key.Operator() {
			return false, nil
		}
	case !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("operator key: %w", err)
	}
	_, fresh, err := k.Issue(ctx, Key{Name: "operator", Permissions: []Permission{Admin}, CreatedBy: "system"})
	if err != nil {
		return false, fmt.Errorf("operator key: %w", err)
	}
	if err := writeSynced(file, fresh+"\n"); err != nil {
		return false, fmt.Errorf("operator key: %w", err)
	}
	return true, nil
}

// writeSynced replaces a file in one step, and returns once it is on disk: the
// key that it holds is valid already, and nobody else knows it.
func writeSynced(file, text string) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*") // readable by its owner only
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // it is there only when the rename failed
	_, err = tmp.WriteString(text)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), file); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
