package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/connectors"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/transport"
	"github.com/seed677028b5/integrations/vault"
	"github.com/seed677028b5/integrations/webhooks"
)

// openWebhooks returns what tells other systems of the events, as the API shows
// them.
func openWebhooks(ctx context.Context, c serveCommand, nc *nats.Conn, events *eventstore.Store, secrets *vault.Vault, outside *connectors.Registry, metrics *prometheus.Registry, log *slog.Logger) (*webhooks.Webhooks, error) {
	key, err := secrets.DeriveKey("webhooks")
	if err != nil {
		return nil, err
	}
	hooks, err := webhooks.Open(ctx, nc, webhooks.Config{
		Events: events, Key: key, Send: outside.Send, Replicas: c.Replicas, NewID: newID, Now: clock, Log: log,
		Show: func(c eventstore.Commit) ([]byte, error) { return transport.ShowEvent(audit.EntryOf(c)) },
	})
	if err != nil {
		return nil, err
	}
	measureWebhooks(metrics, hooks)
	return hooks, nil
}

// measureWebhooks adds what the webhooks do to the metrics.
func measureWebhooks(r *prometheus.Registry, hooks *webhooks.Webhooks) {
	for _, status := range webhooks.Statuses() {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "integrations_webhook_attempts_total", Help: "Attempts of this process to deliver a webhook, by what came of them.",
			ConstLabels: prometheus.Labels{"status": string(status)},
		}, func() float64 { return float64(hooks.Count(status)) }))
	}
	r.MustRegister(pendingWebhooks{hooks: hooks})
}

// pendingWebhooks tells how many deliveries wait, and for how long. When that
// can't be told, it tells nothing.
type pendingWebhooks struct{ hooks *webhooks.Webhooks }

func (pendingWebhooks) count() *prometheus.Desc {
	return prometheus.NewDesc("integrations_webhooks_pending", "Webhooks that are still to be delivered.", nil, nil)
}

func (pendingWebhooks) age() *prometheus.Desc {
	return prometheus.NewDesc("integrations_webhooks_oldest_pending_seconds", "Age of the oldest of them; 0: there is none.", nil, nil)
}

// Describe implements prometheus.Collector.
func (p pendingWebhooks) Describe(to chan<- *prometheus.Desc) { to <- p.count(); to <- p.age() }

// Collect implements prometheus.Collector.
func (p pendingWebhooks) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	count, oldest, err := p.hooks.Pending(ctx)
	if err != nil {
		return
	}
	age := 0.0
	if !oldest.IsZero() {
		age = time.Since(oldest).Seconds()
	}
	to <- prometheus.MustNewConstMetric(p.count(), prometheus.GaugeValue, float64(count))
	to <- prometheus.MustNewConstMetric(p.age(), prometheus.GaugeValue, age)
}
