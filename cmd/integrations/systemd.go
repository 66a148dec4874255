package main

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed677028b5/integrations/internal/systemd"
)

// report reports to systemd that the service is alive until ctx ends, and then that it is
// stopping. Alive is a service whose metrics can be collected, which takes every lock that
// matters: systemd ends one that hangs.
func report(ctx context.Context, manager systemd.Notifier, registry *prometheus.Registry, log *slog.Logger) {
	manager.Watch(ctx, func() { _, _ = registry.Gather() }, func(err error) {
		log.WarnContext(ctx, "the watchdog was not notified", slog.Any("err", err))
	})
	<-ctx.Done()
	notify(context.WithoutCancel(ctx), manager, systemd.Stopping, log)
}

// notify reports a state to systemd.
func notify(ctx context.Context, manager systemd.Notifier, state string, log *slog.Logger) {
	if err := manager.Notify(ctx, state); err != nil {
		log.WarnContext(ctx, "systemd was not notified", slog.String("state", state), slog.Any("err", err))
	}
}
