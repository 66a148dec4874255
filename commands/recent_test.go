package commands_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// Neither of the two follows the log.
func TestAProcessThatMissedAChangeDecidesOnThatChange(t *testing.T) {
	nc := natstest.Connect(t)
	here := startOn(t, nc, 1)
	there := here
	there.events = openEvents(t, nc, 1)
	there.Service = &commands.Service{
		Events: there.events, Vault: here.Vault, Connectors: here.Connectors, Rules: here.Rules, Now: here.Now, NewID: here.NewID, Log: here.Log,
	}
	made := here.create(t, doc(t, crm, "t"))
	named := func(f fixture, name string, on commands.Condition) (commands.Outcome, error) {
		return f.UpdateIntegration(t.Context(), ann, made.ID, doc(t, `{"display_name": %q}`, name), on)
	}
	out, err := named(here, "A", commands.Condition{})
	require.NoError(t, err)
	require.Equal(t, uint64(2), out.Integration.Version)
	out, err = named(there, "B", commands.Condition{})
	require.NoError(t, err)
	require.Equal(t, uint64(3), out.Integration.Version)

	out, err = named(here, "A", commands.Condition{})
	require.NoError(t, err)
	require.Equal(t, uint64(4), out.Integration.Version, "in the memory of this one it changed nothing")
	_, err = there.UpdateIntegration(t.Context(), ann, made.ID, doc(t, `{"base_url": "https://there.example.com"}`), commands.Condition{})
	require.Equal(t, domain.Invalid, domain.KindOf(err), "the secret has another destination then: %v", err)
	out, err = there.UpdateIntegration(t.Context(), ann, made.ID, doc(t, `{"enabled": false}`), commands.Condition{})
	require.NoError(t, err)
	require.Equal(t, "A", out.Integration.DisplayName, "nothing of the other's is lost")
	_, err = named(here, "C", commands.Condition{IfVersions: []uint64{4}})
	require.Equal(t, domain.Stale, domain.KindOf(err), "it is at version 5")
	out, err = named(here, "C", commands.Condition{IfVersions: []uint64{5}})
	require.NoError(t, err)
	require.Equal(t, uint64(6), out.Integration.Version)

	_, err = there.CreateIntegration(t.Context(), ann, doc(t, crm, "u"), commands.Condition{})
	require.Equal(t, domain.Conflict, domain.KindOf(err))
	require.Len(t, here.secrets(t), 1, "nothing is sealed for it")
	_, err = here.DeleteIntegration(t.Context(), ann, made.ID, "", commands.Condition{})
	require.NoError(t, err)
	again := there.create(t, doc(t, crm, "u"))
	require.Equal(t, uint64(8), again.Incarnation)
}
