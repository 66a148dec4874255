package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed677028b5/integrations/webhooks"
)

// AddWebhooks adds metrics of the deliveries of webhooks.
func AddWebhooks(r *prometheus.Registry, hooks *webhooks.Webhooks) {
	for _, status := range webhooks.Statuses() {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "integrations_webhook_attempts_total", Help: "Attempts of this process to deliver a webhook, by what came of them.",
			ConstLabels: prometheus.Labels{"status": string(status)},
		}, func() float64 { return float64(hooks.Count(status)) }))
	}
	r.MustRegister(pendingWebhooks{hooks: hooks})
}

// pendingWebhooks collects how many deliveries wait, and for how long. It collects
// nothing when NATS does not answer.
type pendingWebhooks struct{ hooks *webhooks.Webhooks }

func (pendingWebhooks) count() *prometheus.Desc {
	return prometheus.NewDesc("integrations_webhooks_pending", "Webhooks that are still to be delivered.", nil, nil)
}

func (pendingWebhooks) age() *prometheus.Desc {
	return prometheus.NewDesc("integrations_webhooks_oldest_pending_seconds", "Age of the oldest of them; 0: there is none.", nil, nil)
}

func (pendingWebhooks) dead() *prometheus.Desc {
	return prometheus.NewDesc("integrations_webhooks_dead_letters", "Webhooks that could not be delivered in a day, and were not sent again.", nil, nil)
}

// Describe implements prometheus.Collector.
func (p pendingWebhooks) Describe(to chan<- *prometheus.Desc) {
	to <- p.count()
	to <- p.age()
	to <- p.dead()
}

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
	if dead, err := p.hooks.DeadLetters(ctx); err == nil {
		to <- prometheus.MustNewConstMetric(p.dead(), prometheus.GaugeValue, float64(dead))
	}
}
