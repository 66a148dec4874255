// Package metrics defines the Prometheus metrics of the service, apart from those of
// its HTTP API and of its probes.
package metrics

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/seed677028b5/integrations/projections"
)

// New returns a registry with the metrics of the process, which has a version, and of the
// read model. A scrape reads nothing from the stores.
func New(version string, live *projections.Live) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "integrations_build_info", Help: "1, with the version of this process.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	}, func() float64 { return 1 }))
	for _, gauge := range []struct {
		name, help string
		value      func(projections.Status) uint64
	}{
		{"integrations_projection_position", "Position in the log up to which the read model shows everything.", func(s projections.Status) uint64 { return s.Shown.Integrations }},
		{"integrations_log_head", "Position of the last event in the log.", func(s projections.Status) uint64 { return s.Head.Integrations }},
		{"integrations_projection_lag", "Events that the read model is behind the log.", func(s projections.Status) uint64 { return s.Head.Integrations - s.Shown.Integrations }},
		{"integrations_probes_position", "Position in the log of probes up to which the read model shows everything.", func(s projections.Status) uint64 { return s.Shown.Probes }},
		{"integrations_probes_head", "Position of the last probe in its log.", func(s projections.Status) uint64 { return s.Head.Probes }},
		{"integrations_probes_lag", "Probes that the read model is behind their log.", func(s projections.Status) uint64 { return s.Head.Probes - s.Shown.Probes }},
		{"integrations_parked", "Integrations whose last event can't be applied.", func(s projections.Status) uint64 { return uint64(s.Parked) }}, //nolint:gosec // a count is not negative
		{"integrations_read_model_generation", "Number of the generation that is read from; 0: none yet.", func(s projections.Status) uint64 { return s.Generation }},
	} {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: gauge.name, Help: gauge.help}, func() float64 { return float64(gauge.value(live.Status())) }))
	}
	return r
}
