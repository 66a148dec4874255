package projectiontest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// requireSchedule checks what the schedule is made of.
func requireSchedule(t *testing.T, s projections.Store, intervals map[domain.Ref]int, probes map[domain.Ref]time.Time) {
	t.Helper()
	enabled, probed := map[domain.Ref]int{}, map[domain.Ref]time.Time{}
	require.NoError(t, s.Schedule(t.Context(),
		func(of domain.Ref, seconds int) {
			require.NotContains(t, enabled, of)
			require.Empty(t, probed, "the intervals come first")
			enabled[of] = seconds
		},
		func(of domain.Ref, at time.Time) {
			require.NotContains(t, probed, of)
			probed[of] = at
		}))
	require.Equal(t, intervals, enabled)
	require.Equal(t, probes, probed)
}

func refOf(i domain.Integration) domain.Ref { return domain.Ref{Workspace: i.Workspace, ID: i.ID} }

// every returns i with a health check of its own.
func every(i domain.Integration, seconds int) domain.Integration {
	i.HealthCheck = &domain.HealthCheck{Method: "GET", IntervalSeconds: seconds}
	return i
}

func schedules(t *testing.T, s projections.Store) {
	requireSchedule(t, s, map[domain.Ref]int{}, map[domain.Ref]time.Time{})
	crm, ehr, fax, lab := integration(workspace, "crm"), integration(workspace, "ehr"), integration(workspace, "fax"), integration("acme2", "lab")
	crm = every(crm, 60)
	fax.Enabled = false
	put(t, s, at(1, crm), at(2, every(ehr, 0)), at(3, fax), at(4, lab))
	intervals := map[domain.Ref]int{refOf(crm): 60, refOf(ehr): 0, refOf(lab): projections.UsualInterval}
	requireSchedule(t, s, intervals, map[domain.Ref]time.Time{})

	first, builtin := probed(1, crm, 1, domain.Healthy), probed(2, integration(workspace, domain.GoogleMaps), 1, domain.Timeout)
	probes(t, s, first, builtin)
	times := map[domain.Ref]time.Time{refOf(crm): first.At, {Workspace: builtin.Workspace, ID: builtin.ID}: builtin.At}
	requireSchedule(t, s, intervals, times)

	third := probed(3, crm, 1, domain.Timeout)
	probes(t, s, third)
	fax.Enabled = true
	put(t, s, at(5, deleted(crm)), at(6, ehr), at(7, fax), at(8, every(lab, 86_400)))
	times[refOf(crm)] = third.At
	requireSchedule(t, s, map[domain.Ref]int{refOf(ehr): projections.UsualInterval, refOf(fax): projections.UsualInterval, refOf(lab): 86_400}, times)
}

func schedulesMany(t *testing.T, s projections.Store) {
	intervals, times := map[domain.Ref]int{}, map[domain.Ref]time.Time{}
	position := uint64(0)
	for _, w := range []domain.Workspace{workspace, "acme-2", "zoo"} {
		var b projections.Batch
		for n := range 45 {
			position++
			i := every(integration(w, fmt.Sprintf("crm-%d", n)), n)
			i.Enabled = n%7 != 3
			b.Documents = append(b.Documents, at(position, i))
			if i.Enabled {
				intervals[refOf(i)] = n
			}
			result := probed(position, i, 1, domain.Healthy)
			b.Probes = append(b.Probes, result)
			times[refOf(i)] = result.At
		}
		apply(t, s, b)
	}
	requireSchedule(t, s, intervals, times)
}
