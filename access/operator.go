package access

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
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
	tmp := file + ".new"
	if err := errors.Join(os.WriteFile(tmp, []byte(fresh+"\n"), 0o600), os.Chmod(tmp, 0o600), os.Rename(tmp, file)); err != nil {
		return false, fmt.Errorf("operator key: %w", err)
	}
	return true, nil
}
