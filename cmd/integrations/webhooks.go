package main

import (
	"context"
	"log/slog"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/cmd/integrations/metrics"
	"github.com/seed677028b5/integrations/connectors"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/tracing"
	"github.com/seed677028b5/integrations/transport"
	"github.com/seed677028b5/integrations/vault"
	"github.com/seed677028b5/integrations/webhooks"
)

// openWebhooks opens the webhooks, which send events in the format of the API.
func openWebhooks(ctx context.Context, c serveCommand, nc *nats.Conn, events *eventstore.Store, secrets *vault.Vault, consents *authorizations.Authorizations, upstreams *connectors.Registry, registry *prometheus.Registry, traces tracing.Tracer, log *slog.Logger) (*webhooks.Webhooks, error) {
	key, err := secrets.DeriveKey("webhooks")
	if err != nil {
		return nil, err
	}
	hooks, err := webhooks.Open(ctx, nc, webhooks.Config{
		Events: events, Key: key, Send: upstreams.Send, Replicas: c.Replicas, NewID: newID, Now: clock, Log: log, Traces: traces,
		Show: func(c eventstore.Commit) ([]byte, error) {
			var subject string
			if e, ok := c.Event.(domain.AuthorizationChanged); ok {
				var err error
				if subject, _, err = consents.SubjectOf(ctx, e.Ref(), e.State.Incarnation); err != nil {
					return nil, err
				}
			}
			return transport.ShowEvent(audit.EntryOf(c), subject)
		},
	})
	if err != nil {
		return nil, err
	}
	metrics.AddWebhooks(registry, hooks)
	return hooks, nil
}
