package metrics

import (
	"time"

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

// Appends returns an observer that measures appends to the log, and adds its metrics.
func Appends(r *prometheus.Registry) eventstore.Observer {
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "integrations_log_append_duration_seconds", Help: "Time until an append to the log is on disk or has failed, its wait for a batch included, by outcome.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	}, []string{"outcome"})
	batch := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "integrations_log_commit_events", Help: "Events that this process appended to the log at once, as one message or one batch.",
		Buckets: []float64{1, 16, 32, 64, 128, 256, 500},
	})
	r.MustRegister(duration, batch)
	for _, o := range []eventstore.AppendOutcome{eventstore.AppendOK, eventstore.AppendConflict, eventstore.AppendFailed} {
		duration.WithLabelValues(string(o)) // a rate sees the first one only if there was a zero before
	}
	return eventstore.Observer{
		Appended: func(took time.Duration, o eventstore.AppendOutcome) {
			duration.WithLabelValues(string(o)).Observe(took.Seconds())
		},
		Committed: func(events int) { batch.Observe(float64(events)) },
	}
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
