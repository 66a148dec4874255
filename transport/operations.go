package transport

import (
	"context"
	_ "embed" // the API description is part of the binary
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

//go:embed openapi.yaml
var openAPI []byte

func serveOpenAPI(c *gin.Context) { c.Data(http.StatusOK, "application/yaml", openAPI) }

//go:embed asyncapi.yaml
var asyncAPI []byte

func serveAsyncAPI(c *gin.Context) { c.Data(http.StatusOK, "application/yaml", asyncAPI) }

// readyTimeout bounds one readiness check.
const readyTimeout = 2 * time.Second

// Readiness has the positions of a service that is ready.
type Readiness struct {
	Position     uint64
	Head         uint64
	TokensPaused bool // tokens from before a restore are not renewed
}

// ready answers 200 when the service can write and read, else 503.
func (s *Server) ready(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), readyTimeout)
	defer cancel()
	r, err := s.Ready(ctx)
	if err != nil {
		s.refuse(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"ready": true, "position": r.Position, "head": r.Head, "lag": r.Head - min(r.Position, r.Head), "token_renewals": renewals(r.TokensPaused)})
}

func renewals(paused bool) string {
	if paused {
		return "paused"
	}
	return "active"
}

// metrics counts and times the requests of each route.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	running  prometheus.Gauge
}

func newMetrics(registry *prometheus.Registry) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "integrations_http_requests_total", Help: "Requests answered, by route, method and status.",
		}, []string{"route", "method", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "integrations_http_request_duration_seconds", Help: "Time from a request's headers to its answer, by route and method.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"route", "method"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "integrations_http_requests_in_flight", Help: "Requests that are being answered, event streams included.",
		}),
	}
	registry.MustRegister(m.requests, m.duration, m.running)
	return m
}

func (m *metrics) observe(c *gin.Context) {
	start := time.Now() //nolint:forbidigo // only for a metric
	m.running.Inc()
	defer m.running.Dec()
	c.Next()
	route := c.FullPath() // empty for an unknown route, so that callers can't add labels
	m.requests.WithLabelValues(route, method(c), strconv.Itoa(c.Writer.Status())).Inc()
	observe(c.Request.Context(), m.duration.WithLabelValues(route, method(c)), time.Since(start))
}

// method returns the method of a request, or "other" for an unknown route.
func method(c *gin.Context) string {
	if c.FullPath() == "" {
		return "other"
	}
	return c.Request.Method
}

func (m *metrics) serve(registry *prometheus.Registry) gin.HandlerFunc {
	return gin.WrapH(promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
}
