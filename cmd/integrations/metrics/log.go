package metrics

import (
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed677028b5/integrations/eventstore"
)

// AddLog adds metrics of the event log and of the connection to NATS.
func AddLog(r *prometheus.Registry, guard *eventstore.Guard, nc *nats.Conn) {
	gauge := func(name, help string, value func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("integrations_log_complete", "1 while no event is missing from the log, 0 while changes are refused because some are.",
		func() float64 { return oneIf(guard.Last().Whole()) })
	gauge("integrations_log_missing_events", "Events that are missing from the log, and that no operator has accepted as lost.",
		func() float64 { return float64(guard.Last().Missing) })
	gauge("integrations_nats_connected", "1 while this process is connected to NATS.", func() float64 { return oneIf(nc.IsConnected()) })
	r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "integrations_nats_reconnects_total", Help: "How often this process lost the connection to NATS and was connected again.",
	}, func() float64 { return float64(nc.Stats().Reconnects) }))
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
