package eventstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
)

func TestFollowersReportTheirLagAndTheirLastProgress(t *testing.T) {
	t.Parallel()
	s := open(t, natstest.Connect(t))
	began := time.Now().Add(-time.Minute) // the clock of the server may be another
	for _, one := range []struct {
		workspace domain.Workspace
		count     int
	}{{"acme", 3}, {"globex", 2}} {
		for n := range one.count {
			i := domain.Integration{ID: domain.NewID(one.workspace, fmt.Sprint("crm-", n)), Workspace: one.workspace, Version: 1, Incarnation: 1}
			_, err := s.Append(t.Context(), one.workspace, i.ID, 0, domain.IntegrationCreated{Integration: i}, meta(string(i.ID)))
			require.NoError(t, err)
		}
	}
	for name, position := range map[string]uint64{
		"webhooks.integrations._all._all": 5, "slow.integrations._all._all": 1,
		"billing.integrations.acme._all": 3, "lazy.integrations.globex._all": 3, "seen.probes._all._all": 0,
	} {
		require.NoError(t, s.SavePosition(t.Context(), name, s.Lineage().ID(), position))
	}
	require.NoError(t, s.SaveCheckpoint(t.Context(), "webhooks-checkpoint.c", map[string]int{"read": 5}))
	all, err := s.Followers(t.Context())
	require.NoError(t, err)
	lags := map[string]uint64{}
	for _, f := range all {
		lags[f.Name] = f.Lag
		require.WithinRange(t, f.Progress, began, time.Now().Add(time.Minute), f.Name)
		require.Equal(t, f.Lag == 0, f.Oldest.IsZero(), f.Name)
	}
	require.Equal(t, map[string]uint64{
		"webhooks.integrations._all._all": 0, "slow.integrations._all._all": 4, "billing.integrations.acme._all": 0,
		"lazy.integrations.globex._all": 2, "seen.probes._all._all": 0,
	}, lags, "the events of others don't count as lag")
}
