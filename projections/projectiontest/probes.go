package projectiontest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// probed returns a result at a position, with a time that identifies it.
func probed(position uint64, i domain.Integration, incarnation uint64, status domain.ProbeStatus) projections.ProbeResult {
	return projections.ProbeResult{
		Position: position, Workspace: i.Workspace, ID: i.ID, Incarnation: incarnation,
		LastProbe: projections.LastProbe{Status: status, At: noon.Add(time.Duration(position) * time.Microsecond)},
	}
}

func probes(t *testing.T, s projections.Store, results ...projections.ProbeResult) {
	t.Helper()
	apply(t, s, projections.Batch{Probes: results})
}

func showsTheLastProbe(t *testing.T, s projections.Store) {
	crm, ehr := integration(workspace, "crm"), integration(workspace, "ehr")
	second := probed(2, crm, 1, domain.Timeout)
	probes(t, s, probed(1, crm, 1, domain.Healthy)) // before its integration is known
	put(t, s, at(1, crm), at(2, ehr))
	require.Equal(t, domain.Healthy, get(t, s, crm).LastProbe.Status)
	require.Nil(t, get(t, s, ehr).LastProbe)

	probes(t, s, second)
	probes(t, s, probed(1, crm, 1, domain.Healthy)) // again, out of order
	crm.DisplayName = "Changed"
	put(t, s, at(3, crm))
	require.Equal(t, projections.Integration{Integration: crm, LastProbe: &second.LastProbe}, get(t, s, crm))
	require.Equal(t, []projections.Integration{{Integration: crm, LastProbe: &second.LastProbe}, {Integration: ehr}},
		list(t, s, workspace, projections.Query{Sort: projections.Sort{By: projections.Name, Ascending: true}, Limit: 2}).Items)

	unstored := integration(workspace, domain.GoogleMaps)
	third := probed(3, unstored, 1, domain.Misconfigured)
	probes(t, s, third)
	last, err := s.Probed(t.Context(), workspace, []domain.ID{crm.ID, ehr.ID, unstored.ID})
	require.NoError(t, err)
	require.Equal(t, map[domain.ID]projections.LastProbe{crm.ID: second.LastProbe, unstored.ID: third.LastProbe}, last)
}

func hidesProbesOfEarlierIncarnations(t *testing.T, s projections.Store) {
	crm := integration(workspace, "crm")
	put(t, s, at(1, crm))
	probes(t, s, probed(1, crm, 1, domain.Healthy))
	put(t, s, at(2, deleted(crm)))
	requireGone(t, s, workspace, crm.ID)

	crm.Version, crm.Incarnation = 3, 3
	put(t, s, at(3, crm))
	require.Nil(t, get(t, s, crm).LastProbe)
	require.Nil(t, list(t, s, workspace, projections.Query{Limit: 1}).Items[0].LastProbe)

	probes(t, s, probed(2, crm, 3, domain.AuthFailed))
	probes(t, s, probed(3, crm, 1, domain.Healthy)) // a slow probe
	require.Equal(t, domain.AuthFailed, get(t, s, crm).LastProbe.Status)
	require.Equal(t, domain.AuthFailed, list(t, s, workspace, projections.Query{Limit: 1}).Items[0].LastProbe.Status)
}
