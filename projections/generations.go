package projections

import (
	"context"
	"errors"
)

// Generations keeps the read models that follow one another. One of them is
// live; a rebuild fills another beside it and makes that one live. There are two
// implementations, as of Store, and the suite in projectiontest tests both.
type Generations interface {
	// Live returns the number of the generation to read from, 0 when there is none.
	Live(ctx context.Context) (uint64, error)

	// Open opens a generation. ErrUnusable is in the error of one that can't be
	// opened however often it is tried.
	Open(ctx context.Context, n uint64) (Store, error)

	// Create begins an empty generation under a number above all others, and
	// deletes what builds left behind that were interrupted. Its store can't be
	// listed before Index. One is built at a time: while somebody builds one, and
	// their process lives, the error is ErrBuilding. Closing the store ends the
	// build; what was not promoted by then is left behind.
	Create(ctx context.Context) (uint64, Store, error)

	// Promote makes the generation that is being built live, at once.
	Promote(ctx context.Context, n uint64) error

	// Sweep deletes the generations before the live one that nobody reads.
	Sweep(ctx context.Context) error

	// Close lets go of the database. Stores that are open stay so.
	Close() error
}

// ErrUnusable says that a generation is lost, damaged, or of another version of
// the service: it must be built anew.
var ErrUnusable = errors.New("the read model can't be used")

// ErrBuilding says that another process is building a generation.
var ErrBuilding = errors.New("the read model is being rebuilt by another process")

// ErrOvertaken says that another process took over while a generation was built.
var ErrOvertaken = errors.New("another process has begun to rebuild the read model")
