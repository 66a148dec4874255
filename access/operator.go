package access

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/seed677028b5/integrations/internal/durablefile"
)

// Operator says what became of the operator key.
type Operator int

// What EnsureOperator may find or do.
const (
	OperatorReady     Operator = iota // the file holds a valid one
	OperatorMade                      // there was none, so one was made
	OperatorElsewhere                 // there is one, and the file does not hold it
)

// EnsureOperator makes an operator key when there is none, in a file readable by
// its owner only. Each start on another data folder would leave a key that opens
// everything and never expires, so where there is one already, none is made. A file
// whose key opens nothing is kept beside the new one, with the ending .old.
func (k *Keys) EnsureOperator(ctx context.Context, file string) (Operator, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the operator's own data folder
	switch {
	case err == nil:
		if key, err := k.Authenticate(ctx, strings.TrimSpace(string(text))); err == nil && key.Operator() {
			return OperatorReady, nil
		}
	case !errors.Is(err, fs.ErrNotExist):
		return OperatorElsewhere, fmt.Errorf("operator key: %w", err)
	}
	if k.hasOperator() {
		return OperatorElsewhere, nil
	}
	if err == nil {
		if err := os.Rename(file, file+".old"); err != nil {
			return OperatorElsewhere, fmt.Errorf("operator key: %w", err)
		}
	}
	key, fresh := k.draft(Key{Name: "operator", Permissions: []Permission{Admin}, CreatedBy: "system"})
	// In this order: a key that is stored and that nobody holds would keep another
	// from being made.
	if err := durablefile.Write(file, []byte(fresh+"\n"), 0o600); err != nil {
		return OperatorElsewhere, fmt.Errorf("operator key: %w", err)
	}
	if err := k.store(ctx, key, 0); err != nil {
		return OperatorElsewhere, fmt.Errorf("operator key: %w", err)
	}
	return OperatorMade, nil
}

// hasOperator reports whether there is a key that may do everything everywhere.
func (k *Keys) hasOperator() bool {
	now := k.now()
	for _, key := range k.List("") {
		if key.May(Admin) && !key.Expired(now) {
			return true
		}
	}
	return false
}
