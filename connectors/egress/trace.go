package egress

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/internal/tracing"
)

// startSpan begins the span of a request. Of the URL it has the origin alone: paths have values of
// parameters, and those of webhooks are secrets.
func startSpan(ctx context.Context, method string, target *url.URL) (context.Context, tracing.Span) {
	ctx, span := tracing.Start(ctx, method, tracing.Client)
	if span.On() {
		span.SetText("http.request.method", method)
		span.SetText("url.scheme", target.Scheme)
		span.SetText("server.address", target.Hostname())
		if port, err := strconv.Atoi(target.Port()); err == nil {
			span.SetNumber("server.port", port)
		}
	}
	return ctx, span
}

// endSpan ends a span with the answer: once its body is closed.
func endSpan(span tracing.Span, resp *http.Response, e *callerror.Error) {
	switch {
	case e != nil:
		span.Fail(string(e.Code))
		span.End(nil)
	case !span.On():
		span.End(nil)
	default:
		span.SetNumber("http.response.status_code", resp.StatusCode)
		if resp.StatusCode >= 400 {
			span.Fail(strconv.Itoa(resp.StatusCode))
		}
		resp.Body = &tracedBody{ReadCloser: resp.Body, span: span}
	}
}

// tracedBody ends a span when it is closed.
type tracedBody struct {
	io.ReadCloser
	span tracing.Span
	once sync.Once
}

// Close implements io.Closer.
func (b *tracedBody) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(func() { b.span.End(nil) })
	return err
}
