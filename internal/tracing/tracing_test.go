package tracing_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/tracing"
)

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func tracer(t *testing.T) (tracing.Tracer, *tracetest.SpanRecorder) {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	return tracing.New(sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder)).Tracer(tracing.Name)), recorder
}

func TestASpanContinuesTheTraceOfTheCallerAndIsContinued(t *testing.T) {
	traces, recorder := tracer(t)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Traceparent", parent)
	r.Header.Set("Tracestate", "vendor=1")
	ctx, request := traces.Serve(r, "GET /")
	inner, call := tracing.Start(ctx, "call", tracing.Internal)
	call.End(domain.Errorf(domain.Invalid, "name_taken", "a secret of somebody"))
	request.End(errors.New("a secret of somebody"))
	spans := recorder.Ended()
	require.Len(t, spans, 2)
	require.Equal(t, domain.TraceID(parent), spans[0].SpanContext().TraceID().String())
	require.Equal(t, spans[1].SpanContext().SpanID(), spans[0].Parent().SpanID())
	require.Equal(t, "00f067aa0ba902b7", spans[1].Parent().SpanID().String())
	require.Equal(t, "vendor=1", spans[0].SpanContext().TraceState().String())
	require.Equal(t, []any{codes.Error, "", "name_taken"}, []any{spans[0].Status().Code, spans[0].Status().Description, spans[0].Attributes()[0].Value.AsString()})
	require.Equal(t, "_OTHER", spans[1].Attributes()[0].Value.AsString())

	header := http.Header{"Traceparent": {parent}}
	tracing.Inject(inner, header)
	require.Equal(t, tracing.Parent(inner), header.Get("Traceparent"))
	require.Contains(t, header.Get("Traceparent"), spans[0].SpanContext().SpanID().String())
	for _, others := range []string{"", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"} {
		header.Set("Traceparent", others)
		tracing.Inject(inner, header)
		require.Equal(t, others, header.Get("Traceparent"), "a header of another trace, or none")
	}
}

func TestAMessageKeepsItsTraceAndLinksToTheRequestThatCarriesIt(t *testing.T) {
	traces, recorder := tracer(t)
	ctx, request := traces.Serve(httptest.NewRequest(http.MethodGet, "/", nil), "POST /mcp")
	for _, name := range []string{parent, "", tracing.Parent(ctx)} {
		_, span := traces.Follow(ctx, "tools/call", tracing.Server, name)
		span.End(nil)
	}
	request.End(nil)
	spans := recorder.Ended()
	require.Equal(t, domain.TraceID(parent), spans[0].SpanContext().TraceID().String())
	require.Equal(t, spans[3].SpanContext().TraceID(), spans[0].Links()[0].SpanContext.TraceID())
	for _, own := range spans[1:3] {
		require.Equal(t, spans[3].SpanContext().SpanID(), own.Parent().SpanID())
		require.Empty(t, own.Links())
	}
}

func TestATraceThatIsNotSampledIsNotRecordedButKeepsItsID(t *testing.T) {
	traces, recorder := tracer(t)
	ctx, span := traces.Begin(t.Context(), "probe", tracing.Consumer, parent[:53]+"00")
	require.False(t, span.On())
	span.End(nil)
	require.Empty(t, recorder.Ended())
	require.Equal(t, domain.TraceID(parent), domain.TraceID(tracing.Parent(ctx)))
	require.False(t, tracing.Sampled(tracing.Parent(ctx)))
}

func TestRecordsOfTheLogHaveTheTraceThatTheyAreMadeIn(t *testing.T) {
	traces, _ := tracer(t)
	var out bytes.Buffer
	log := tracing.Logged(slog.New(slog.NewTextHandler(&out, nil))).With(slog.String("part", "x"))
	ctx, _ := traces.Begin(t.Context(), "one", tracing.Internal, parent)
	log.InfoContext(ctx, "inside")
	log.InfoContext(t.Context(), "outside")
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	require.Contains(t, string(lines[0]), "part=x trace_id="+domain.TraceID(parent)+" span_id=")
	require.NotContains(t, string(lines[1]), "trace_id")
}

// oneCall traces a request that makes a call.
func oneCall(traces tracing.Tracer, r *http.Request) {
	ctx, request := traces.Serve(r, "GET /")
	ctx, span := tracing.Start(ctx, "call", tracing.Internal)
	span.SetText(tracing.Endpoint, "list")
	span.SetNumber(tracing.Attempts, 1)
	tracing.Inject(ctx, r.Header)
	span.End(nil)
	request.End(nil)
}

// What a span costs where traces are off is what every request pays.
func BenchmarkOff(b *testing.B) {
	ctx := context.WithValue(context.WithValue(b.Context(), http.LocalAddrContextKey, 1), http.ServerContextKey, 2)
	r := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx)
	var none tracing.Tracer
	b.ReportAllocs()
	for b.Loop() {
		oneCall(none, r)
	}
}

func BenchmarkOn(b *testing.B) {
	traces := tracing.New(sdk.NewTracerProvider().Tracer(tracing.Name))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	b.ReportAllocs()
	for b.Loop() {
		oneCall(traces, r)
	}
}

func TestTracesThatAreOffAllocateNothing(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	var none tracing.Tracer
	require.Zero(t, testing.AllocsPerRun(100, func() { oneCall(none, r) }))
}
