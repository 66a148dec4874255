package health

import (
	"context"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed677028b5/integrations/domain"
)

// Metrics count probes. A nil Metrics counts nothing.
type Metrics struct {
	probes   *prometheus.CounterVec
	lateness *prometheus.HistogramVec
}

// NewMetrics registers the metrics of a queue and of the probers on it.
func NewMetrics(r prometheus.Registerer, q *Queue) *Metrics {
	m := &Metrics{
		probes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "integrations_probes_total", Help: "Probes made from the queue, by result.",
		}, []string{"status"}),
		lateness: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "integrations_probe_lateness_seconds", Help: "Time from when a probe was due, or requested, until it started.",
			Buckets: []float64{.01, .05, .1, .5, 1, 5, 30, 120},
		}, []string{"topic"}),
	}
	r.MustRegister(m.probes, m.lateness)
	for _, topic := range []string{Due, Asked} {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "integrations_probes_waiting", Help: "Probes in the queue that no process has taken yet; NaN when unknown.",
			ConstLabels: prometheus.Labels{"topic": topic},
		}, func() float64 { return waiting(q, topic) }))
	}
	return m
}

// waiting bounds how long a scrape may wait for NATS.
func waiting(q *Queue, topic string) float64 {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	count, err := q.Waiting(ctx, topic)
	if err != nil {
		return math.NaN()
	}
	return float64(count)
}

func (m *Metrics) count(status domain.ProbeStatus) {
	if m != nil {
		m.probes.WithLabelValues(string(status)).Inc()
	}
}

func (m *Metrics) observeLateness(topic string, by time.Duration) {
	if m != nil {
		m.lateness.WithLabelValues(topic).Observe(by.Seconds())
	}
}
