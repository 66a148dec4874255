package transport_test

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
)

func TestTheProbeHistoryOfAnIntegration(t *testing.T) {
	t.Parallel()
	s := serve(t)
	var status atomic.Int32
	status.Store(200)
	u := listen(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) })
	s.create(rest("crm", u.url))
	empty := s.get("/integrations/crm/health").is(200)
	require.Empty(t, empty.at("items"))
	require.Nil(t, empty.at("uptime", "24h", "ratio"))

	for _, answers := range []int32{200, 200, 500, 200} {
		status.Store(answers)
		s.post("/integrations/crm/test-connection", nil).is(200)
	}
	got := s.get("/integrations/crm/health").is(200)
	require.Len(t, got.at("items"), 4)
	for n, want := range []string{"healthy", "unreachable", "healthy", "healthy"} { // newest first
		require.Equal(t, want, got.at("items", n, "status"))
		require.Equal(t, n != 2, got.at("items", n, "changed"), n)
		require.Len(t, got.at("items", n, "actor"), 16)
	}
	require.Equal(t, "unreachable", got.at("items", 0, "previous"))
	require.Nil(t, got.at("items", 3, "previous"))
	for _, window := range []string{"24h", "30d"} {
		require.InDelta(t, 0.75, got.at("uptime", window, "ratio"), 0.0001)
		require.InDelta(t, 4, got.at("uptime", window, "total"), 0)
	}
	var paged []any
	for token := ""; ; {
		page := s.get("/integrations/crm/health?limit=3&continuation_token=" + token).is(200)
		paged = append(paged, page.at("items").([]any)...)
		if page.at("has_more") == false {
			break
		}
		token = page.at("continuation_token").(string)
	}
	require.Equal(t, got.at("items"), paged)

	s.delete("/integrations/crm").is(204)
	s.get("/integrations/crm/health").is(404, "integration_not_found")
	s.create(rest("crm", u.url))
	require.Empty(t, s.get("/integrations/crm/health").is(200).at("items"), "the probes of an earlier incarnation are not shown")
	s.get("/integrations/google-maps/health").is(200)
}

func TestTheHealthOfAnIntegrationIsFollowedLive(t *testing.T) {
	t.Parallel()
	s := serve(t)
	u := listen(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	s.create(rest("crm", u.url))
	s.create(rest("other", u.url))
	path := "/v1/acme/integrations/crm/health/stream"
	viewer := s.issue("acme", access.View)
	stream := s.listenTo(path, viewer, "0")
	s.post("/integrations/other/test-connection", nil).is(200)
	s.post("/integrations/crm/test-connection", nil).is(200)
	name, data, ok := stream.next()
	require.True(t, ok)
	require.Equal(t, "integration.probed", name)
	require.Contains(t, data, `"position":2,"status":"healthy"`, "that of another integration is left out")
	holds(t, "Probed", []byte(data))
	stream.end()
	s.send(request{method: "GET", path: "/integrations/none/health/stream", key: viewer}).is(404, "integration_not_found")
}
