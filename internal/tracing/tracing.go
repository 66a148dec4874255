// Package tracing begins the spans of traces (OpenTelemetry, W3C Trace Context).
//
// Its promise: a process without a Tracer traces nothing, and that costs nothing. A span holds
// ids, names that somebody configured, codes and numbers: no secret, no value of a parameter, no
// path or query of a URL, no text of an error and nothing of a body.
package tracing

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed677028b5/integrations/domain"
)

// Header is the header of a trace (W3C Trace Context, 3.2).
const Header = "Traceparent"

// A Kind is the part that a span plays between processes.
type Kind = trace.SpanKind

// The kinds.
const (
	Internal = trace.SpanKindInternal
	Server   = trace.SpanKindServer   // answers a request
	Client   = trace.SpanKindClient   // makes one
	Producer = trace.SpanKindProducer // stores what others act on later
	Consumer = trace.SpanKindConsumer // acts on what was stored
)

// A Tracer begins spans. The zero value begins none.
type Tracer struct{ tracer trace.Tracer }

// New returns a Tracer of an SDK.
func New(t trace.Tracer) Tracer { return Tracer{t} }

// On reports whether t begins spans.
func (t Tracer) On() bool { return t.tracer != nil }

// Begin begins a span in the trace of ctx, else in that of parent, a traceparent, else in a
// new trace.
func (t Tracer) Begin(ctx context.Context, name string, kind Kind, parent string) (context.Context, Span) {
	if t.tracer == nil {
		return ctx, Span{}
	}
	if !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, remote(parent, ""))
	}
	return begin(ctx, t.tracer, name, kind)
}

// Serve begins the span of a request, in the trace that its headers name, else in a new one.
func (t Tracer) Serve(r *http.Request, name string) (context.Context, Span) {
	if t.tracer == nil {
		return r.Context(), Span{}
	}
	ctx := trace.ContextWithRemoteSpanContext(r.Context(), remote(r.Header.Get(Header), r.Header.Get("Tracestate")))
	return begin(ctx, t.tracer, name, Server)
}

// Follow begins a span in the trace of parent, a traceparent, with a link to the span of ctx:
// a message may belong to another trace than the request that carries it.
func (t Tracer) Follow(ctx context.Context, name string, kind Kind, parent string) (context.Context, Span) {
	of := remote(parent, "")
	if t.tracer == nil || !of.IsValid() || of.TraceID() == trace.SpanContextFromContext(ctx).TraceID() {
		return t.Begin(ctx, name, kind, parent)
	}
	link := trace.LinkFromContext(ctx)
	return begin(trace.ContextWithRemoteSpanContext(ctx, of), t.tracer, name, kind, trace.WithLinks(link))
}

// Start begins a span in the trace of ctx. Outside of one it does nothing.
func Start(ctx context.Context, name string, kind Kind) (context.Context, Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.SpanContext().IsValid() {
		return ctx, Span{}
	}
	return begin(ctx, parent.TracerProvider().Tracer(Name), name, kind)
}

// Name names what begins the spans here, to those who receive them.
const Name = "github.com/seed677028b5/integrations"

func begin(ctx context.Context, t trace.Tracer, name string, kind Kind, more ...trace.SpanStartOption) (context.Context, Span) {
	ctx, span := t.Start(ctx, name, append(more, trace.WithSpanKind(kind))...)
	return ctx, Span{span}
}

// remote returns the span that the headers of W3C Trace Context name, an invalid one when they
// name none.
func remote(parent, state string) trace.SpanContext {
	if parent = domain.ParseTraceParent(parent); parent == "" {
		return trace.SpanContext{}
	}
	var c trace.SpanContextConfig
	c.TraceID, _ = trace.TraceIDFromHex(parent[3:35])
	c.SpanID, _ = trace.SpanIDFromHex(parent[36:52])
	if hexDigit(parent[54])&1 == 1 {
		c.TraceFlags = trace.FlagsSampled
	}
	c.TraceState, _ = trace.ParseTraceState(state)
	c.Remote = true
	return trace.NewSpanContext(c)
}

func hexDigit(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}

// Parent returns the traceparent of the span of ctx, "" when there is none.
func Parent(ctx context.Context) string {
	c := trace.SpanContextFromContext(ctx)
	if !c.IsValid() {
		return ""
	}
	return "00-" + c.TraceID().String() + "-" + c.SpanID().String() + "-" + (c.TraceFlags() & trace.FlagsSampled).String()
}

// Sampled reports whether the traceparent says that its trace is recorded.
func Sampled(parent string) bool { return remote(parent, "").IsSampled() }

// IDs returns the ids of the trace and the span of ctx; ok is false when there are none.
func IDs(ctx context.Context) (traceID, spanID string, ok bool) {
	c := trace.SpanContextFromContext(ctx)
	if !c.IsValid() {
		return "", "", false
	}
	return c.TraceID().String(), c.SpanID().String(), true
}

// Inject makes the span of ctx the parent in a header that names its trace. A header that names
// another trace, or none, stays as it is.
func Inject(ctx context.Context, h http.Header) {
	if parent := Parent(ctx); parent != "" && domain.TraceID(h.Get(Header)) == domain.TraceID(parent) {
		h.Set(Header, parent)
	}
}

// A Span is a part of a trace. The zero value is none.
type Span struct{ span trace.Span }

// On reports whether s is recorded. What is set on another one is lost, so it need not be found out.
func (s Span) On() bool { return s.span != nil && s.span.IsRecording() }

// SetText sets a value of s, unless it is empty.
func (s Span) SetText(name, value string) {
	if s.On() && value != "" {
		s.span.SetAttributes(attribute.String(name, value))
	}
}

// SetNumber sets a value of s.
func (s Span) SetNumber(name string, value int) {
	if s.On() {
		s.span.SetAttributes(attribute.Int(name, value))
	}
}

// Fail marks s as failed, for a reason that has a code.
func (s Span) Fail(code string) {
	if s.On() {
		s.span.SetAttributes(attribute.String("error.type", code))
		s.span.SetStatus(codes.Error, "")
	}
}

// End ends s, as failed if err is not nil. Of err it keeps the code alone.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil && s.On() {
		s.Fail(codeOf(err))
	}
	s.span.End()
}

// codeOf returns the code of an error, "_OTHER" for one without.
func codeOf(err error) string {
	if code := domain.CodeOf(err); code != "" {
		return code
	}
	return "_OTHER"
}

// Of sets which integration s is about.
func (s Span) Of(w domain.Workspace, id domain.ID) {
	if s.On() {
		s.span.SetAttributes(attribute.String(workspaceID, string(w)), attribute.String(integrationID, string(id)))
	}
}

// The attributes of this service.
const (
	workspaceID   = "integrations.workspace_id"
	integrationID = "integrations.integration_id"

	RequestID = "integrations.request_id"
	Endpoint  = "integrations.endpoint"
	Protocol  = "integrations.protocol"
	Outcome   = "integrations.outcome"
	Attempts  = "integrations.attempts"
	Event     = "integrations.event_type"
	Position  = "integrations.position"
)

// SetPosition sets the position of the event that s is about, unless it is 0.
func (s Span) SetPosition(position uint64) {
	if position > 0 {
		s.SetNumber(Position, int(position)) //nolint:gosec // a log has fewer events
	}
}

// StartAppend begins the span of an append to a log, and makes it what the event names as its
// trace, so that those who read the event continue it.
func StartAppend(ctx context.Context, w domain.Workspace, id domain.ID, e domain.Event, m *domain.Metadata) (context.Context, Span) {
	ctx, span := Start(ctx, "append", Producer)
	if parent := Parent(ctx); parent != "" {
		m.TraceParent = parent
	}
	if span.On() {
		span.Of(w, id)
		span.SetText(Event, domain.NameOf(e))
	}
	return ctx, span
}
