package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/seed677028b5/integrations/eventstore"
)

// checkKeepCalls returns an error for a time that is surely a mistake: calls that are
// older are deleted at once.
func checkKeepCalls(age time.Duration) error {
	if age != 0 && age < time.Hour {
		return errors.New("--keep-calls must be at least 1h")
	}
	return nil
}

// keepCalls sets how long calls are kept. A process that is not given a time changes
// nothing, so that a forgotten flag deletes no calls.
func keepCalls(ctx context.Context, events *eventstore.Store, age time.Duration, log *slog.Logger) {
	changed, err := events.KeepCalls(ctx, age)
	switch {
	case err != nil:
		log.WarnContext(ctx, "how long calls are kept could not be set: use `nats stream edit CALLS --max-age TIME --max-msgs-per-subject=-1`, "+
			"by a user with the rights for it", slog.Any("err", err))
	case changed:
		log.InfoContext(ctx, "changed how long calls are kept")
	}
}
