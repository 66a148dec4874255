package projections

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Follower tells how far a store has come that a projector in another process
// keeps current.
type Follower struct {
	Store Store
	Every time.Duration // how often to look; 0: 20 ms
	Log   *slog.Logger

	progress
}

// Run looks until ctx ends, and returns nil then.
func (f *Follower) Run(ctx context.Context) error {
	every := f.Every
	if every <= 0 {
		every = 20 * time.Millisecond
	}
	for pause := every; ctx.Err() == nil; {
		switch at, err := f.Store.Positions(ctx); {
		case err == nil:
			pause = every
			if at.Integrations != f.Position() {
				f.move(at.Integrations)
			}
		case ctx.Err() == nil:
			pause = min(2*pause, longestPause)
			f.Log.WarnContext(ctx, "it can't be seen how current the read model is; trying again",
				slog.Duration("pause", pause), slog.Any("err", err), slog.Any("cause", errors.Unwrap(err)))
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	return nil
}
