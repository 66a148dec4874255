package projections

import (
	"context"
	"errors"
)

// Generations stores successive read models. One of them is live; a rebuild fills another and
// makes that one live. There are two implementations, as for Store, and the suite in
// projectiontest tests both.
type Generations interface {
	// Live returns the number of the generation to read from, 0 when there is none.
	Live(ctx context.Context) (uint64, error)

	// Open opens a generation. The error wraps ErrUnusable if retrying can't help.
	Open(ctx context.Context, n uint64) (Store, error)

	// Create starts an empty generation with a number above all others, and deletes what
	// interrupted builds left. Its store can't be listed before Index. Only one is built at a
	// time: while another build runs and its process lives, the error is ErrBuilding. Closing
	// the store ends the build; unless it was promoted, its data is deleted later.
	Create(ctx context.Context) (uint64, Store, error)

	// Promote makes the generation that is being built live.
	Promote(ctx context.Context, n uint64) error

	// Sweep deletes the generations before the live one that nobody reads.
	Sweep(ctx context.Context) error

	// Close closes the database. Open stores stay open.
	Close() error
}

// ErrUnusable means that a generation is lost, damaged, or of another version of the service
// and must be rebuilt.
var ErrUnusable = errors.New("the read model is unusable")

// ErrBuilding means that another process is building a generation.
var ErrBuilding = errors.New("the read model is being rebuilt by another process")

// ErrOvertaken means that another process took over during a build.
var ErrOvertaken = errors.New("another process has started to rebuild the read model")
