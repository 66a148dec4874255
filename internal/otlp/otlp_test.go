package otlp_test

import (
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/seed677028b5/integrations/internal/otlp"
	"github.com/seed677028b5/integrations/internal/tracing"
)

func open(t *testing.T, c otlp.Config) *otlp.Exporter {
	t.Helper()
	if c.Delay == 0 {
		c.Delay = time.Hour
	}
	c.Timeout = 10 * time.Second
	if c.Header == nil {
		c.Header = http.Header{}
	}
	e, err := otlp.Open(t.Context(), &c, otlp.Process{Name: "integrations"}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(e.Close)
	return e
}

// end begins and ends spans.
func end(t *testing.T, e *otlp.Exporter, spans int) {
	t.Helper()
	for range spans {
		_, span := e.Tracer().Begin(t.Context(), "one", tracing.Internal, "")
		span.End(nil)
	}
}

func TestACollectorThatHangsCostsSpansAndNothingElse(t *testing.T) {
	hanging, release := make(chan struct{}, 100), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		hanging <- struct{}{}
		<-release
	}))
	t.Cleanup(srv.Close)
	e := open(t, otlp.Config{URL: srv.URL, Queue: 20, Batch: 10, GiveUp: time.Hour})
	end(t, e, 10)
	<-hanging // the first batch is on its way
	end(t, e, 50)
	require.Equal(t, otlp.Counts{Full: 30}, e.Counts(), "the queue has 20, and nothing waits for room")
	close(release)
	require.NoError(t, e.Flush(t.Context()))
	require.Equal(t, otlp.Counts{Exported: 30, Full: 30}, e.Counts())
}

func TestSpansThatACollectorRefusesAreDroppedAndCounted(t *testing.T) {
	answer := []byte(nil)
	status := http.StatusBadRequest
	var requests atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.WriteHeader(status)
		_, _ = w.Write(answer)
	}))
	t.Cleanup(srv.Close)
	e := open(t, otlp.Config{URL: srv.URL, Queue: 20, Batch: 20, GiveUp: time.Hour})
	end(t, e, 5)
	require.NoError(t, e.Flush(t.Context()))
	require.Equal(t, otlp.Counts{Failed: 5}, e.Counts())

	// An ExportTraceServiceResponse whose partial_success rejects 2 spans, and gives a reason.
	status, answer = http.StatusOK, []byte{0x0a, 0x07, 0x08, 0x02, 0x12, 0x03, 'b', 'a', 'd'}
	end(t, e, 5)
	require.NoError(t, e.Flush(t.Context()))
	require.Equal(t, otlp.Counts{Exported: 3, Failed: 7}, e.Counts())
	require.EqualValues(t, 2, requests.Load(), "neither is sent again")
}

func TestABusyCollectorGetsTheSameSpansAgain(t *testing.T) {
	var bodies [][]byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if bodies = append(bodies, body); len(bodies) == 1 {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(srv.Close)
	e := open(t, otlp.Config{URL: srv.URL, Queue: 20, Batch: 20, GiveUp: time.Hour})
	end(t, e, 3)
	require.NoError(t, e.Flush(t.Context()))
	require.Equal(t, otlp.Counts{Exported: 3}, e.Counts())
	require.Len(t, bodies, 2)
	require.Equal(t, bodies[0], bodies[1])
	var sent tracepb.TracesData
	require.NoError(t, proto.UnmarshalOptions{}.Unmarshal(bodies[1], &sent))
	require.Len(t, sent.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans(), 3)
}

func TestACollectorGetsTheHeadersAndTheCompressionThatItAsksFor(t *testing.T) {
	var sent tracepb.TracesData
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil || r.Header.Get("X-Tenant") != "the clinic" || r.Header.Get("Content-Type") != "application/x-protobuf" || r.Header.Get("Content-Encoding") != "gzip" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		body, _ := io.ReadAll(unpacked)
		if proto.Unmarshal(body, &sent) != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	t.Cleanup(srv.Close)
	e := open(t, otlp.Config{URL: srv.URL, Queue: 20, Batch: 20, GiveUp: time.Hour, Compress: true, Header: http.Header{"X-Tenant": {"the clinic"}}})
	end(t, e, 3)
	require.NoError(t, e.Flush(t.Context()))
	require.Equal(t, otlp.Counts{Exported: 3}, e.Counts())
	require.Len(t, sent.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans(), 3)
}

func TestACollectorThatIsAwayDelaysTheEndOfAProcessBySecondsAtMost(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	e := open(t, otlp.Config{URL: srv.URL, Queue: 20, Batch: 20, GiveUp: 10 * time.Millisecond})
	end(t, e, 3)
	e.Close()
	require.Equal(t, otlp.Counts{Failed: 3}, e.Counts())
	end(t, e, 3) // it begins none after its end
	require.Equal(t, otlp.Counts{Failed: 3}, e.Counts())
}
