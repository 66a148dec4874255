package transport

import (
	"cmp"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/tracing"
)

// trace has a request in a span, unless load balancers and Prometheus ask it all the time. Of its
// URL the span has the route alone: callers put secrets in the wrong place.
func (s *Server) trace(c *gin.Context) {
	if !s.Traces.On() || isStatusRoute(c.FullPath()) {
		return
	}
	ctx, span := s.Traces.Serve(c.Request, method(c)+" "+cmp.Or(c.FullPath(), "unknown route"))
	c.Request = c.Request.WithContext(ctx)
	c.Set(traceIDAttribute, domain.TraceID(tracing.Parent(ctx)))
	if !span.On() {
		defer span.End(nil)
		c.Next()
		return
	}
	defer func() {
		status := c.Writer.Status()
		span.SetText("http.request.method", method(c))
		span.SetText("http.route", c.FullPath())
		span.SetNumber("http.response.status_code", status)
		if c.GetString(keyIDAttribute) != "" && status != http.StatusForbidden { // else it may be anything
			span.SetText("integrations.workspace_id", loggable(c.Param("workspace")))
		}
		span.SetText(tracing.RequestID, requestID(c))
		span.SetText("integrations.key_id", c.GetString(keyIDAttribute))
		span.SetText("integrations.error_code", c.GetString(errorCodeAttribute))
		if status >= http.StatusInternalServerError {
			span.Fail(cmp.Or(c.GetString(errorCodeAttribute), "_OTHER"))
		}
		span.End(nil)
	}()
	c.Next()
}
