package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seed677028b5/integrations/domain"
)

// How a start waits for a store that is away.
const (
	firstTry   = 250 * time.Millisecond // twice as long each time
	longestTry = 5 * time.Second
)

// whenThere opens something of a store. With --wait-for-stores it tries again until the
// store is there or ctx ends; without, a store that is away ends the start.
func whenThere[T any](ctx context.Context, c serveCommand, log *slog.Logger, what string, open func() (T, error)) (T, error) {
	tries := backoff.NewExponentialBackOff()
	tries.InitialInterval, tries.MaxInterval = firstTry, longestTry
	v, err := backoff.Retry(ctx, func() (T, error) {
		v, err := open()
		if err != nil && (!c.WaitForStores || !mayPass(err)) {
			return v, backoff.Permanent(err)
		}
		return v, err
	}, backoff.WithBackOff(tries), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, pause time.Duration) {
		log.WarnContext(ctx, "waiting for a store", slog.String("store", what), slog.Duration("pause", pause), slog.Any("err", told(err)))
	}))
	if err != nil && !c.WaitForStores && mayPass(err) {
		err = fmt.Errorf("%w; with --wait-for-stores the service waits for it", told(err))
	}
	return v, err
}

// errAway says that nobody answers where a store is configured to be.
var errAway = errors.New("no server answers")

// mayPass reports whether an error says that a store is away, or has no leader yet.
func mayPass(err error) bool {
	return errors.Is(err, errAway) || errors.Is(err, context.DeadlineExceeded) || domain.KindOf(err) == domain.Unavailable
}
