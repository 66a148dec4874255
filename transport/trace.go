package transport

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/tracing"
)

// traceIDAttribute is where the trace of a request is kept, for its line in the log.
const traceIDAttribute = "trace_id"

// newTraceParent begins a trace, for a request that belongs to none (W3C Trace Context, 3.2).
// It is not sampled: nothing here reports it.
func newTraceParent() string {
	var ids [24]byte
	_, _ = rand.Read(ids[:]) // never fails
	return "00-" + hex.EncodeToString(ids[:16]) + "-" + hex.EncodeToString(ids[16:]) + "-00"
}

// traceOf returns the traceparent of a request: that of its span, else the caller's, else a new one.
func traceOf(c *gin.Context) string {
	parent := cmp.Or(tracing.Parent(c.Request.Context()), domain.ParseTraceParent(c.GetHeader(tracing.Header)), newTraceParent())
	c.Set(traceIDAttribute, domain.TraceID(parent))
	return parent
}

// observe adds a duration to a histogram, with the trace of the request if that is recorded.
func observe(ctx context.Context, h prometheus.Observer, took time.Duration) {
	if parent := tracing.Parent(ctx); tracing.Sampled(parent) {
		if with, ok := h.(prometheus.ExemplarObserver); ok {
			with.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": domain.TraceID(parent)})
			return
		}
	}
	h.Observe(took.Seconds())
}
