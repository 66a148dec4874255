package projections

import (
	"context"
	"errors"
	"fmt"
)

// ErrNoGeneration reports that no generation of the read model is live yet.
var ErrNoGeneration = errors.New("there is no read model yet")

// OpenLive opens the live generation, for a caller that only reads it, and returns
// its number. It returns ErrNoGeneration when there is none.
func OpenLive(ctx context.Context, g Generations) (uint64, Store, error) {
	n, err := g.Live(ctx)
	if err != nil {
		return 0, nil, err
	}
	if n == 0 {
		return 0, nil, ErrNoGeneration
	}
	store, err := g.Open(ctx, n)
	if err != nil {
		return n, nil, fmt.Errorf("open generation %d of the read model: %w", n, err)
	}
	return n, store, nil
}
