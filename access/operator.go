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

// Operator is the result of EnsureOperator.
type Operator int

// The results of EnsureOperator.
const (
	OperatorReady     Operator = iota // the file has a valid key
	OperatorMade                      // there was no key, so one was created
	OperatorElsewhere                 // there is a key, and the file doesn't have it
)

// EnsureOperator creates an operator key if there is none, in a file readable by its
// owner only. If there is one already, it creates none: each start on another data folder
// would leave a key that permits everything and never expires. A file whose key is not
// valid is kept beside the new one, with the extension .old.
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
	// In this order: a stored key that nobody has would prevent another from being
	// created.
	if err := durablefile.Write(file, []byte(fresh+"\n"), 0o600); err != nil {
		return OperatorElsewhere, fmt.Errorf("operator key: %w", err)
	}
	if err := k.store(ctx, key, 0); err != nil {
		return OperatorElsewhere, fmt.Errorf("operator key: %w", err)
	}
	return OperatorMade, nil
}

// hasOperator reports whether an operator key with every permission exists.
func (k *Keys) hasOperator() bool {
	now := k.now()
	for _, key := range k.List("") {
		if key.May(Admin) && !key.Expired(now) {
			return true
		}
	}
	return false
}
