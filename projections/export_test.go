package projections

import (
	"context"

	"github.com/seed677028b5/integrations/eventstore"
)

// ErrMissed is errMissed.
var ErrMissed = errMissed

// LoadAll is loadAll for a log of integrations.
func (b *Builder) LoadAll(ctx context.Context, store Store, read func(context.Context) (eventstore.Latest, error), complete bool, built *Built) (uint64, error) {
	return b.loadAll(ctx, store, read, always(fold), complete, built)
}
