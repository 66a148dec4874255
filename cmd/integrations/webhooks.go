package main

import (
	"context"
	"log/slog"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/cmd/integrations/metrics"
	"github.com/seed677028b5/integrations/connectors"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/transport"
	"github.com/seed677028b5/integrations/vault"
	"github.com/seed677028b5/integrations/webhooks"
)

// openWebhooks opens the webhooks, which send events in the format of the API.
func openWebhooks(ctx context.Context, c serveCommand, nc *nats.Conn, events *eventstore.Store, secrets *vault.Vault, upstreams *connectors.Registry, registry *prometheus.Registry, log *slog.Logger) (*webhooks.Webhooks, error) {
	key, err := secrets.DeriveKey("webhooks")
	if err != nil {
		return nil, err
	}
	hooks, err := webhooks.Open(ctx, nc, webhooks.Config{
		Events: events, Key: key, Send: upstreams.Send, Replicas: c.Replicas, NewID: newID, Now: clock, Log: log,
		Show: func(c eventstore.Commit) ([]byte, error) { return transport.ShowEvent(audit.EntryOf(c)) },
	})
	if err != nil {
		return nil, err
	}
	metrics.AddWebhooks(registry, hooks)
	return hooks, nil
}
