package transport

import (
	"cmp"
	"context"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/tracing"
)

// inTraceOf returns r in the trace that the params of a call name (MCP, _meta.traceparent),
// if they do, else in that of the HTTP request; and ends the span that it begins.
func (s *Server) inTraceOf(ctx context.Context, r *mcpRequest, meta mcp.Meta, method string) (context.Context, *mcpRequest, func()) {
	named, _ := meta["traceparent"].(string)
	named = domain.ParseTraceParent(named)
	ctx, span := s.Traces.Follow(ctx, method, tracing.Server, named)
	if named = cmp.Or(tracing.Parent(ctx), named); named == "" {
		return ctx, r, func() { span.End(nil) }
	}
	traced := *r.request
	traced.caller.TraceParent = named
	return ctx, r.of(&traced, r.method), func() { span.End(nil) }
}
