package transport_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

// results returns the status of each integration of a health check.
func (r reply) results() map[string]string {
	r.t.Helper()
	all := map[string]string{}
	for n := range r.at("integrations").([]any) {
		all[r.at("integrations", n, "name").(string)] = r.at("integrations", n, "status").(string)
	}
	count := func(name string) int { n, _ := r.json[name].(float64); return int(n) }
	require.Equal(r.t, count("total"), count("healthy")+count("unhealthy")+count("unknown"))
	require.Equal(r.t, count("total"), len(all))
	return all
}

func TestAHealthCheckProbesEnabledIntegrations(t *testing.T) {
	t.Parallel()
	up := listen(t, nil)
	ill := listen(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	off := listen(t, nil)
	s := serve(t, func(set *settings) { set.builtins.Disabled = []string{domain.GoogleSearch} })
	s.create(rest("up", up.url))
	s.create(rest("ill", ill.url))
	s.create(rest("gone", closedPort(t)))
	s.create(rest("off", off.url, members{"enabled": false}))
	s.create(members{"name": "tools", "display_name": "T", "protocol": "mcp", "mcp_transport": "http", "mcp_url": up.url})

	got := s.get("/integrations/health-check").is(200)
	results := got.results()
	require.NotContains(t, results, "off")
	require.NotContains(t, results, "google-search")
	for name, status := range map[string]string{"up": "healthy", "ill": "unreachable", "gone": "unreachable", "google-maps": "unknown", "amigo-fhir": "unknown"} {
		require.Equal(t, status, results[name], name)
	}
	require.NotEqual(t, "healthy", results["tools"])
	require.InDelta(t, 1, got.at("healthy"), 0)
	require.Empty(t, off.requests())
	require.Equal(t, "healthy", s.get("/integrations/up").at("last_test_status"))
	sums := s.get("/integrations/health-check?details=false").is(200)
	require.NotContains(t, sums.json, "integrations")
	for _, sum := range []string{"healthy", "unhealthy", "unknown", "total"} {
		require.Equal(t, got.at(sum), sums.at(sum), sum)
	}

	probed := len(up.requests())
	again := s.get("/integrations/health-check?max_age_ms=86400000").is(200)
	require.Equal(t, results, again.results())
	require.Len(t, up.requests(), probed, "an integration is not probed again shortly after")
	s.get("/integrations/health-check?max_age_ms=0").is(200)
	require.Greater(t, len(up.requests()), probed)
	probed = len(up.requests())
	s.put("/integrations/up", members{"base_url": up.url + "/v2"}).is(200)
	s.get("/integrations/health-check?max_age_ms=86400000").is(200)
	require.Greater(t, len(up.requests()), probed, "a probe from before a change doesn't count")
}

func TestAHealthCheckEndsWhileUpstreamsHang(t *testing.T) {
	t.Parallel()
	hanging := listen(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s := serve(t, func(set *settings) { set.healthWithin = 500 * time.Millisecond })
	for _, name := range []string{"h1", "h2", "h3"} {
		s.create(rest(name, hanging.url))
	}
	start := time.Now()
	got := s.get("/integrations/health-check").is(200)
	require.Less(t, time.Since(start), 5*time.Second)
	for _, name := range []string{"h1", "h2", "h3"} {
		require.Contains(t, []string{"unknown", "timeout"}, got.results()[name])
	}
}

func TestTheHealthCheckIsNoIntegration(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.post("/integrations", rest("health-check", "https://a.example")).is(422, "reserved")
	require.Contains(t, s.get("/integrations/health-check").is(200).json, "healthy")
}
