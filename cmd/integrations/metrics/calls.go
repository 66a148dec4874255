package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed677028b5/integrations/domain"
)

// Calls returns a function that measures a call of an upstream, and adds its metrics.
func Calls(r *prometheus.Registry) func(domain.Protocol, domain.IntegrationInvoked) {
	total := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "integrations_calls_total", Help: "Calls of upstreams by this process, by protocol, kind and outcome.",
	}, []string{"protocol", "kind", "outcome"})
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "integrations_call_duration_seconds", Help: "Duration of calls of upstreams with all their attempts, by protocol and kind.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120},
	}, []string{"protocol", "kind"})
	r.MustRegister(total, duration)
	return func(p domain.Protocol, c domain.IntegrationInvoked) {
		total.WithLabelValues(string(p), string(c.Kind), string(c.Outcome)).Inc()
		duration.WithLabelValues(string(p), string(c.Kind)).Observe(c.Duration.Seconds())
	}
}
