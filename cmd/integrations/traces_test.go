package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
)

func TestOneTraceLeadsThroughTwoProcessesToTheUpstreamAndHoldsNoSecret(t *testing.T) {
	slow(t)
	var mu sync.Mutex
	parents := map[string][]string{} // of requests to the upstream, by path
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		at := r.Method + " " + r.URL.Path
		parents[at] = append(parents[at], r.Header.Get("Traceparent"))
		_, _ = w.Write([]byte(`{"slots": ["a-body-from-upstream"]}`))
	}))
	t.Cleanup(upstream.Close)
	collector := startCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
	t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")

	address, monitor := natstest.ListenMonitored(t, true)
	d := &deployment{t: t, root: t.TempDir(), args: []string{"--nats-url=nats://" + address, "--nats-monitor-url=" + monitor, "--probe-interval=0s"}}
	api := d.start("--roles=api,projector")
	other := d.start("--roles=projector,prober,webhooks")

	const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	send := func(want int, method, path, body string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, api.url+path, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+api.key)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Traceparent", "00-"+traceID+"-00f067aa0ba902b7-01")
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		answer, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		require.Equal(t, want, res.StatusCode, "%s", answer)
	}
	send(http.StatusCreated, "POST", hooks, fmt.Sprintf(`{"url": "%s/services/a-secret-of-a-webhook", "event_types": ["*"]}`, upstream.URL))
	send(http.StatusCreated, "POST", all, fmt.Sprintf(`{"name": "clinic", "display_name": "Clinic", "base_url": %q, "auth": {"bearer_token_value": "t0ken-of-the-upstream"},
		"endpoints": [{"name": "list_slots", "description": "Lists", "method": "GET", "path": "/slots/{day}", "input_schema":
		{"type": "object", "properties": {"day": {"type": "string"}, "patient": {"type": "string"}}, "required": ["day"]}}]}`, upstream.URL))
	send(http.StatusOK, "POST", all+"/clinic/endpoints/list_slots/invoke", `{"params": {"day": "a-value-in-a-path", "patient": "a-value-in-a-query"}}`)
	send(http.StatusOK, "GET", all+"/health-check?max_age_ms=0", "")
	send(http.StatusNotFound, "GET", all+"/a-secret-in-the-wrong-place", "")
	require.Eventually(t, func() bool {
		return collector.has("deliver", "project", "probe.asked", "/v1/:workspace/integrations/:id")
	}, time.Minute, 10*time.Millisecond)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, api.url+"/metrics", nil)
	require.NoError(t, err)
	req.Header.Set("Accept", "application/openmetrics-text")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	metrics, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	require.Regexp(t, `integrations_http_request_duration_seconds_bucket{[^}]*invoke[^}]*} \d+ # {trace_id="`+traceID+`"}`, string(metrics), "an exemplar")
	require.Regexp(t, `integrations_spans_exported_total [1-9]`, string(metrics))
	require.Zero(t, api.stop()) // they export what waits
	require.Zero(t, other.stop())
	collector.end()

	for _, secret := range []string{
		"a-secret-of-a-webhook", "t0ken-of-the-upstream", "a-body-from-upstream", "a-value-in-a-path", "a-value-in-a-query", "a-secret-in-the-wrong-place", api.key,
	} {
		require.False(t, collector.has(secret), secret)
	}
	require.Contains(t, strings.Join(api.logs, "\n"), `"trace_id":"`+traceID+`"`)
	spans := collector.spans(t)
	byID, roles := map[string]*collectedSpan{}, map[string]bool{}
	for _, s := range spans {
		require.Equal(t, traceID, s.Trace, s.Name)
		require.Equal(t, []string{"Str(integrations)", "Str(test)"}, []string{s.Resource["service.name"], s.Resource["deployment.environment.name"]})
		byID[s.ID] = s
		roles[s.Resource["integrations.roles"]] = true
	}
	require.Len(t, roles, 2, "of both processes")
	t.Logf("one trace:\n%s", tree(spans, "00f067aa0ba902b7", ""))

	if drawn := drawTrace(spans, "00f067aa0ba902b7"); *update {
		require.NoError(t, os.WriteFile("../../docs/trace.svg", []byte(drawn), 0o600))
	}

	path := func(of *collectedSpan) string { // the names from the caller to a span
		names := of.Name
		for ; byID[of.Parent] != nil; of = byID[of.Parent] {
			names = byID[of.Parent].Name + " > " + names
		}
		require.Equal(t, "00f067aa0ba902b7", of.Parent, "%s begins at the caller", names)
		return names
	}
	var paths []string
	for _, s := range spans {
		paths = append(paths, path(s))
	}
	const create, invoke = "POST /v1/:workspace/integrations", "POST /v1/:workspace/integrations/:id/endpoints/:name/invoke"
	require.Subset(t, paths, []string{
		create + " > decide", create + " > append > project", create + " > append > deliver > POST",
		invoke + " > call > GET", "GET /v1/:workspace/integrations/health-check > probe.asked > probe > HEAD",
	})
	mu.Lock()
	defer mu.Unlock()
	for request, of := range map[string]string{"GET /slots/a-value-in-a-path": invoke + " > call > GET", "POST /services/a-secret-of-a-webhook": create + " > append > deliver > POST"} {
		var continued []string
		for _, parent := range parents[request] {
			require.Equal(t, traceID, domain.TraceID(parent), request)
			continued = append(continued, path(byID[parent[36:52]]))
		}
		require.Contains(t, continued, of, "the span that the upstream continues")
	}
}
