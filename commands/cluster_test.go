package commands_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// The log is read from a follower that receives everything late, and written through the
// leader.
func TestACommandThatReadsFromALaggingFollowerLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	const longest = 2500 * time.Millisecond // beyond it the follower counts as gone
	for lag := 700 * time.Millisecond; !losesNothingBehind(t, lag); lag = min(lag+600*time.Millisecond, longest) {
		require.Less(t, lag, longest, "the follower was never behind")
	}
}

// losesNothingBehind reports whether the follower of a new cluster was behind. Reads may go
// to another follower that is up to date, and on a busy machine a change may take longer
// than the follower needs to receive it.
func losesNothingBehind(t *testing.T, lag time.Duration) bool {
	t.Helper()
	c := natstest.NewCluster(t)
	near := startOn(t, c.Connect(t, 0), 3)
	c.Lead(t, "INTEGRATIONS")
	far := near
	far.Service = &commands.Service{
		Events: openEvents(t, c.Connect(t, 2), 3), Vault: near.vault, Connectors: near.Connectors, Rules: near.Rules, Now: near.Now, NewID: near.NewID, Log: near.Log,
	}
	id := domain.NewID("acme", "crm")
	out, err := near.CreateIntegration(t.Context(), ann, doc(t, crm, "t1"), commands.Condition{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		last, err := far.Events.Load(t.Context(), "acme", id)
		return err == nil && last.Position == out.Position
	}, time.Minute, 10*time.Millisecond)
	c.Lag(t, lag)

	behind := 0
	for n := 0; n < 2 || behind == 0 && n < 4; n++ {
		out, err = near.UpdateIntegration(t.Context(), ann, id, doc(t, `{"display_name": "CRM %d"}`, n), commands.Condition{})
		require.NoError(t, err)
		for range 20 { // one of them is answered by the follower
			if last, err := far.Events.Load(t.Context(), "acme", id); err == nil && last.Position < out.Position {
				behind++
				break
			}
		}
		out, err = far.UpdateIntegration(t.Context(), ann, id, doc(t, `{"base_url": "https://crm.example.com/%d", "auth": {"bearer_token_value": "t"}}`, n), commands.Condition{})
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint("CRM ", n), out.Integration.DisplayName, "a change that the follower lacked is kept")
		require.Equal(t, uint64(4*n+3), out.Integration.Version, "each change is one event")

		// A document that equals only the state of the follower is a change.
		_, err = near.UpdateIntegration(t.Context(), ann, id, doc(t, `{"display_name": "B"}`), commands.Condition{})
		require.NoError(t, err)
		out, err = far.UpdateIntegration(t.Context(), ann, id, doc(t, `{"display_name": "CRM %d"}`, n), commands.Condition{})
		require.NoError(t, err)
		require.Equal(t, uint64(4*n+5), out.Integration.Version)

		// A refusal is also based on the latest state.
		made, err := near.CreateIntegration(t.Context(), ann, doc(t, `{"name": "new-%d", "display_name": "New", "base_url": "https://new.example.com"}`, n), commands.Condition{})
		require.NoError(t, err)
		_, err = far.UpdateIntegration(t.Context(), ann, made.Integration.ID, doc(t, `{"display_name": "Newer"}`), commands.Condition{IfVersions: []uint64{1}})
		require.NoError(t, err)
	}
	return behind > 0
}
