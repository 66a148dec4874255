package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/event"
)

// OpenWatched is Open with a monitor for every command.
func OpenWatched(ctx context.Context, uri, database string, started func(*event.CommandStartedEvent)) (*Generations, error) {
	watch := &event.CommandMonitor{Started: func(_ context.Context, e *event.CommandStartedEvent) { started(e) }}
	return openWith(ctx, settingsOf(uri).SetMonitor(watch), database)
}
