package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natsconn"
	"github.com/seed677028b5/integrations/internal/terminal"
)

// The backoff of a startup that waits for a store.
const (
	minRetryPause = 250 * time.Millisecond
	maxRetryPause = 5 * time.Second
)

// waitFor opens a store. With --wait-for-stores it retries until the store is available
// or ctx ends; without, a store that is away is an error.
func waitFor[T any](ctx context.Context, c serveCommand, log *slog.Logger, what string, open func() (T, error)) (T, error) {
	tries := backoff.NewExponentialBackOff()
	tries.InitialInterval, tries.MaxInterval = minRetryPause, maxRetryPause
	v, err := backoff.Retry(ctx, func() (T, error) {
		v, err := open()
		if err != nil && (!c.WaitForStores || !isTransient(err)) {
			return v, backoff.Permanent(err)
		}
		return v, err
	}, backoff.WithBackOff(tries), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, pause time.Duration) {
		log.WarnContext(ctx, "waiting for a store", slog.String("store", what), slog.Duration("pause", pause), slog.Any("err", terminal.OperatorError(err)))
	}))
	if err != nil && !c.WaitForStores && isTransient(err) {
		err = fmt.Errorf("%w; with --wait-for-stores the service waits for it", terminal.OperatorError(err))
	}
	return v, err
}

// isTransient reports whether a store is away, or has no leader yet.
func isTransient(err error) bool {
	return errors.Is(err, natsconn.ErrAway) || errors.Is(err, context.DeadlineExceeded) || domain.KindOf(err) == domain.Unavailable
}
