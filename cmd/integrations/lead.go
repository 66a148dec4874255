package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/streams"
)

// lead runs do in one of all processes until ctx ends, and again after it failed.
func lead(ctx context.Context, events *eventstore.Store, name string, do func(context.Context) error, log *slog.Logger) error {
	for ctx.Err() == nil {
		if err := events.Lead(ctx, name, do); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "background work failed; retrying", slog.String("name", name), slog.Any("err", err))
		}
		streams.Wait(ctx, time.Second)
	}
	return nil
}
