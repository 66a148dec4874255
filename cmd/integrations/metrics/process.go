package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed677028b5/integrations/admission"
	"github.com/seed677028b5/integrations/audit"
)

// AddOverload adds a metric of the requests that a gate refused.
func AddOverload(r *prometheus.Registry, gate *admission.Gate) {
	for pool := range gate.Refused() {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "integrations_overload_refusals_total", Help: "Requests and calls that got no memory or slot in time, by what they needed.",
			ConstLabels: prometheus.Labels{"pool": pool},
		}, func() float64 { return float64(gate.Refused()[pool]) }))
	}
}

// AddListeners adds a metric of the listeners of a stream of server-sent events.
func AddListeners(r *prometheus.Registry, stream string, live *audit.Live) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "integrations_event_stream_listeners", Help: "Clients of this process that receive server-sent events, by stream.",
		ConstLabels: prometheus.Labels{"stream": stream},
	}, func() float64 { return float64(live.Listeners()) }))
}

// Certificate returns a function that records until when the TLS certificate of this
// process is valid, and adds its metric.
func Certificate(r *prometheus.Registry) func(until time.Time) {
	end := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "integrations_tls_certificate_not_after_timestamp_seconds", Help: "When the TLS certificate of this process ends; absent without TLS.",
	})
	r.MustRegister(end)
	return func(until time.Time) { end.Set(float64(until.Unix())) }
}
