package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed677028b5/integrations/internal/otlp"
)

// AddTraces adds metrics of the spans that this process exports; none, if it exports none.
func AddTraces(r *prometheus.Registry, e *otlp.Exporter) {
	if e == nil {
		return
	}
	r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "integrations_spans_exported_total", Help: "Spans that the OpenTelemetry collector took from this process.",
	}, func() float64 { return float64(e.Counts().Exported) }))
	for reason, count := range map[string]func(otlp.Counts) uint64{
		"queue_full":    func(c otlp.Counts) uint64 { return c.Full },
		"export_failed": func(c otlp.Counts) uint64 { return c.Failed },
	} {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "integrations_spans_dropped_total", Help: "Spans that this process dropped, by reason: the queue was full, or the OpenTelemetry collector didn't take them.",
			ConstLabels: prometheus.Labels{"reason": reason},
		}, func() float64 { return float64(count(e.Counts())) }))
	}
}
