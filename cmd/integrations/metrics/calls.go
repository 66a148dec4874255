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

// Tokens returns a function that counts a request to a token endpoint, and adds its metric.
func Tokens(r *prometheus.Registry) func(domain.AuthType, domain.CallOutcome) {
	total := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "integrations_token_requests_total", Help: "Requests of this process to token endpoints with all their attempts, by type of auth and outcome.",
	}, []string{"auth_type", "outcome"})
	r.MustRegister(total)
	return func(how domain.AuthType, o domain.CallOutcome) { total.WithLabelValues(string(how), string(o)).Inc() }
}

// Losses returns a function that counts a lost authorization, and adds its metric.
func Losses(r *prometheus.Registry) func() {
	total := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "integrations_authorizations_lost_total", Help: "Authorizations of persons that this process has found to be lost, so that somebody must sign in again.",
	})
	r.MustRegister(total)
	return total.Inc
}

// Upstreams is what this process knows of upstreams and of the programs that it runs.
type Upstreams interface {
	Running() int   // programs
	Pauses() uint64 // of upstreams that kept failing
}

// AddUpstreams adds metrics of upstreams and programs.
func AddUpstreams(r *prometheus.Registry, u Upstreams) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "integrations_programs_running", Help: "Programs of profiles that this process is running; at most 32.",
	}, func() float64 { return float64(u.Running()) }))
	r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "integrations_upstream_pauses_total", Help: "How often this process paused invocations of an upstream, for 10 s each, because it kept failing.",
	}, func() float64 { return float64(u.Pauses()) }))
}
