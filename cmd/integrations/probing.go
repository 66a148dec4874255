package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/health"
	"github.com/seed677028b5/integrations/projections"
)

// probing is the parts that check the health of integrations.
type probing struct {
	checker   *health.Checker
	results   *health.Results
	scheduler *health.Scheduler
	prober    *health.Prober
}

func newProbing(ctx context.Context, c serveCommand, nc *nats.Conn, service *commands.Service, reader projections.Reader, model *projections.Live, metrics prometheus.Registerer, log *slog.Logger) (*probing, error) {
	queue, err := health.OpenQueue(ctx, nc, c.Replicas)
	if err != nil {
		return nil, err
	}
	queue.Log = log
	results := health.NewResults(service.Events, log)
	return &probing{
		checker:   &health.Checker{Read: reader, Queue: queue, Results: results, Wait: model.WaitForProbe, Position: model.Position, Within: 25 * time.Second, Now: service.Now},
		results:   results,
		scheduler: &health.Scheduler{Queue: queue, Events: service.Events, Model: model, Every: c.ProbeInterval, Now: service.Now, Log: log},
		prober:    &health.Prober{Queue: queue, Commands: service, Metrics: health.NewMetrics(metrics, queue), Now: service.Now, Log: log},
	}, nil
}
