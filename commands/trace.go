package commands

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/tracing"
)

// A decider makes a decision on the state of an integration.
type decider = func(domain.Integration, domain.Attempt) (domain.Decision, error)

// traced returns decide with a span for each decision.
func traced(ctx context.Context, decide decider) decider {
	if tracing.Parent(ctx) == "" {
		return decide
	}
	return func(state domain.Integration, a domain.Attempt) (domain.Decision, error) {
		_, span := tracing.Start(ctx, "decide", tracing.Internal)
		d, err := decide(state, a)
		span.End(err)
		return d, err
	}
}

// appendTo appends an event of i to a log in a span, which those who read the event continue.
func appendTo(ctx context.Context, log *eventstore.Store, i domain.Integration, after uint64, e domain.Event, m domain.Metadata) (uint64, error) {
	ctx, span := tracing.StartAppend(ctx, i.Workspace, i.ID, e, &m)
	position, err := log.Append(ctx, i.Workspace, i.ID, after, e, m)
	span.SetPosition(position)
	span.End(err)
	return position, err
}

// traceCall begins the span of a call, and has the upstream continue it.
func traceCall(ctx context.Context, traces tracing.Tracer, c *domain.Call) (context.Context, tracing.Span) {
	ctx, span := traces.Begin(ctx, "call", tracing.Internal, c.TraceParent)
	if parent := tracing.Parent(ctx); parent != "" {
		c.TraceParent = parent
	}
	span.Of(c.Integration.Workspace, c.Integration.ID)
	span.SetText(tracing.Endpoint, c.Endpoint.Name)
	span.SetText(tracing.Protocol, string(c.Integration.Protocol))
	return ctx, span
}

// endCall ends the span of a call.
func endCall(span tracing.Span, result domain.CallResult, err error) {
	span.SetText(tracing.Outcome, string(domain.OutcomeOf(result.ErrorCode)))
	span.SetNumber(tracing.Attempts, len(result.Attempts))
	if err == nil && result.ErrorCode != "" {
		span.Fail(string(result.ErrorCode))
	}
	span.End(err)
}
