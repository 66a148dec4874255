package transport

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/seed677028b5/integrations/domain"
)

// statuses is the only mapping from domain errors to HTTP.
var statuses = map[domain.Kind]int{
	domain.Invalid:         http.StatusUnprocessableEntity,
	domain.Unauthenticated: http.StatusUnauthorized,
	domain.Forbidden:       http.StatusForbidden,
	domain.NotFound:        http.StatusNotFound,
	domain.Gone:            http.StatusGone,
	domain.Conflict:        http.StatusConflict,
	domain.Stale:           http.StatusPreconditionFailed,
	domain.TooLarge:        http.StatusRequestEntityTooLarge,
	domain.TooSlow:         http.StatusRequestTimeout,
	domain.Unsupported:     http.StatusUnsupportedMediaType,
	domain.Limited:         http.StatusTooManyRequests,
	domain.Unavailable:     http.StatusServiceUnavailable,
	domain.Internal:        http.StatusInternalServerError,
}

// problem is the body of every error (RFC 9457).
type problem struct {
	Type      string           `json:"type"`
	Title     string           `json:"title"`
	Status    int              `json:"status"`
	Detail    string           `json:"detail"`
	Code      string           `json:"code"`
	ErrorCode string           `json:"error_code"` // the same as Code, for clients of Amigo's API
	RequestID string           `json:"request_id"`
	Errors    []domain.Problem `json:"errors,omitempty"`
}

// problemType begins the type of every problem.
const problemType = "urn:integrations:problem:"

// callerGone is the status, in metrics and the log only, of a request whose caller
// disconnected. It is never sent.
const callerGone = 499

// abandon closes the connection of a caller who disconnected, once the request is counted.
func abandon(c *gin.Context) {
	c.Next()
	if c.Writer.Status() == callerGone && !c.Writer.Written() {
		panic(http.ErrAbortHandler)
	}
}

// refuse answers with err. Details that a caller may not see are logged instead. A caller
// who disconnected is not an error. A time limit of the service's own that passed is a failure of
// what it waited for.
func (s *Server) refuse(c *gin.Context, err error) {
	if c.Request.Context().Err() != nil && domain.KindOf(err) != domain.TooSlow {
		s.Log.DebugContext(c.Request.Context(), "the caller disconnected", slog.String("request_id", requestID(c)), slog.Any("err", err))
		c.Status(callerGone)
		c.Abort()
		return
	}
	if _, known := errors.AsType[*domain.Error](err); !known && errors.Is(err, context.DeadlineExceeded) {
		err = domain.Wrap(err, domain.Unavailable, "timed_out", "a part of the service did not answer in time; try again")
	}
	s.refuseAs(c, statuses[domain.KindOf(err)], err)
}

func (s *Server) refuseAs(c *gin.Context, status int, err error) {
	refusal, ok := errors.AsType[*domain.Error](err)
	if !ok {
		refusal = &domain.Error{Kind: domain.Internal, Code: "internal", Message: "internal error; see the server log for this request id"}
	}
	c.Set(errorCodeAttribute, refusal.Code)
	switch refusal.Kind {
	case domain.Internal:
		s.Log.ErrorContext(c.Request.Context(), "request failed", slog.String("request_id", requestID(c)), slog.Any("err", err))
	case domain.Unavailable:
		c.Header("Retry-After", "1")
		cause := cmp.Or[error](errors.Unwrap(refusal), refusal)
		s.Log.WarnContext(c.Request.Context(), "request failed for lack of a dependency", slog.String("request_id", requestID(c)), slog.String("code", refusal.Code), slog.Any("err", cause))
	case domain.Unauthenticated:
		c.Header("WWW-Authenticate", s.challenge(c, refusal))
	case domain.TooSlow:
		c.Header("Connection", "close") // the rest of the body may still come
	case domain.Invalid, domain.Forbidden, domain.NotFound, domain.Gone, domain.Conflict, domain.Stale, domain.TooLarge, domain.Unsupported, domain.Limited:
	}
	c.Header("Content-Type", "application/problem+json")
	c.AbortWithStatusJSON(status, problem{
		Type: problemType + refusal.Code, Title: http.StatusText(status), Status: status,
		Detail: refusal.Message, Code: refusal.Code, ErrorCode: refusal.Code, RequestID: requestID(c), Errors: refusal.Problems,
	})
}
