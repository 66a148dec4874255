package transport_test

import (
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// recorded returns the first calls that were recorded.
func (s *service) recorded(t *testing.T, count int) []eventstore.Commit {
	t.Helper()
	var calls []eventstore.Commit
	for batch, err := range s.stores.events.CallsAfter(t.Context(), 0) {
		require.NoError(t, err)
		if calls = append(calls, batch...); len(calls) >= count {
			break
		}
	}
	require.Len(t, calls, count)
	return calls
}

func invoked(c eventstore.Commit) domain.IntegrationInvoked {
	return c.Event.(domain.IntegrationInvoked)
}

func TestEveryWayToCallAnUpstreamIsRecordedAsItsKind(t *testing.T) {
	t.Parallel()
	s := serve(t)
	u := s.slots(t, "clinic")
	session, err := s.mcp(t, s.issue("acme", access.Invoke))
	require.NoError(t, err)
	defer func() { _ = session.Close() }()
	_, err = session.CallTool(t.Context(), &mcp.CallToolParams{Name: "clinic__list_slots", Arguments: members{"day": "mon"}})
	require.NoError(t, err)
	s.post("/integrations/clinic/discover", members{"openapi": `{"openapi":"3.1.0","paths":{}}`}) // sends nothing
	s.post("/integrations/clinic/discover", members{"openapi_url": u.url + "/slots/never"}).is(200)
	s.post("/integrations/test-connection", members{"id": "clinic", "base_url": u.url + "/v2"}).is(200)
	s.post("/integrations/test-connection", members{"name": "planned", "base_url": closedPort(t)}).is(200)

	want := []domain.IntegrationInvoked{
		{Name: "clinic", Version: 1, Endpoint: "list_slots", Method: "GET", Kind: domain.MCPCall, StatusCode: 200, Outcome: domain.CallOK, ResponseBytes: 51},
		{Name: "clinic", Version: 1, Kind: domain.DiscoveryCall, Outcome: domain.OutcomeOf(domain.CallUpstreamError)},
		{Name: "clinic", Kind: domain.ConnectionCall, StatusCode: 200, Outcome: domain.CallOK},
		{Name: "planned", Kind: domain.ConnectionCall, Outcome: domain.OutcomeOf(domain.CallUnreachable)},
	}
	for n, c := range s.recorded(t, len(want)) {
		got := invoked(c)
		want[n].ID, want[n].Workspace, want[n].Incarnation, want[n].Attempts = domain.NewID("acme", want[n].Name), "acme", 1, 1
		want[n].Duration, want[n].At = got.Duration, got.At
		require.Equal(t, want[n], got)
	}
}
