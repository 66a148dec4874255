package transport

import (
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"

	"github.com/seed677028b5/integrations/access"
)

// How many lines a second the log of requests has at most. Requests that were refused
// for lack of a key or a permission have a limit of their own, so that neither hides
// the other.
const (
	maxRequestLines = 50
	maxRefusedLines = 10
)

// requestLog writes one line for each request: at level info within its limits, at
// level debug beyond them. A line counts those that were left out since the last.
type requestLog struct {
	log      *slog.Logger
	all      *rate.Limiter
	refused  *rate.Limiter
	left     atomic.Int64
	leftMore atomic.Int64 // of the refused
}

func newRequestLog(log *slog.Logger) *requestLog {
	return &requestLog{
		log: log,
		all: rate.NewLimiter(maxRequestLines, 2*maxRequestLines), refused: rate.NewLimiter(maxRefusedLines, 2*maxRefusedLines),
	}
}

// record logs a request once it is answered. What load balancers and Prometheus ask
// all the time is logged at level debug.
func (l *requestLog) record(c *gin.Context) {
	began := time.Now() //nolint:forbidigo // measures a duration
	c.Next()
	level, limit, left := slog.LevelInfo, l.all, &l.left
	switch status := c.Writer.Status(); {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		limit, left = l.refused, &l.leftMore
	case isStatusRoute(c.FullPath()):
		level = slog.LevelDebug
	}
	if level == slog.LevelInfo && !limit.Allow() {
		left.Add(1)
		level = slog.LevelDebug
	}
	if !l.log.Enabled(c, level) {
		return
	}
	attributes := []slog.Attr{
		slog.String("method", method(c)), slog.String("route", c.FullPath()), slog.Int("status", c.Writer.Status()),
		slog.Float64("duration_ms", float64(time.Since(began).Microseconds())/1000), slog.String("request_id", requestID(c)),
	}
	for _, known := range []struct{ name, value string }{
		{"workspace_id", c.Param("workspace")},
		{"id", c.Param("id")},
		{keyIDAttribute, c.GetString(keyIDAttribute)},
		{errorCodeAttribute, c.GetString(errorCodeAttribute)},
		{traceIDAttribute, c.GetString(traceIDAttribute)},
	} {
		if known.value != "" {
			attributes = append(attributes, slog.String(known.name, loggable(known.value)))
		}
	}
	if level == slog.LevelInfo {
		if n := left.Swap(0); n > 0 {
			attributes = append(attributes, slog.Int64("not_logged", n))
		}
	}
	l.log.LogAttrs(c, level, "request", attributes...)
}

// loggable returns the beginning of a value from a path, and nothing of one that may be
// an API key: a caller may have put it in the wrong place.
func loggable(value string) string {
	if strings.Contains(strings.ToLower(value), access.KeyPrefix) {
		return "[secret]"
	}
	return value[:min(len(value), maxLogged)]
}

// maxLogged is how many bytes of one value from a path are logged.
const maxLogged = 128

// What the request log and the access log read from a request's context.
const (
	keyIDAttribute        = "key_id"
	keyWorkspaceAttribute = "key_workspace"
	narrowKeyAttribute    = "narrow_key"
	errorCodeAttribute    = "error_code"
)

func isStatusRoute(path string) bool {
	return path == "/livez" || path == "/readyz" || path == "/metrics"
}
