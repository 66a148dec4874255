package main

import (
	"context"
	"log/slog"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/datafolder"
)

// ensureOperator creates an operator key when the log has none, unless events are
// missing: the log may have lost the key.
func (f storeFlags) ensureOperator(ctx context.Context, keys *access.Keys, events *eventstore.Store, log *slog.Logger) error {
	file := slog.String("file", f.path(datafolder.OperatorKey))
	if events.Intact() != nil {
		log.WarnContext(ctx, "no operator key is created while the event log is incomplete", file)
		return nil
	}
	found, err := keys.EnsureOperator(ctx, f.path(datafolder.OperatorKey))
	switch {
	case err != nil:
		return err
	case found == access.OperatorMade:
		log.InfoContext(ctx, "created an operator key", file)
	case found == access.OperatorElsewhere:
		log.InfoContext(ctx, "this log already has an operator key, which is not in this data folder; `integrations keys create --operator` creates another", file)
	}
	return nil
}
