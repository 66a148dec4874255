package recovery_test

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/connectors"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/internal/recovery"
	"github.com/seed677028b5/integrations/vault"
)

// open returns a log whose events name secrets.
func open(t *testing.T, nc *nats.Conn) (*eventstore.Store, vault.RootKeys) {
	t.Helper()
	events, err := eventstore.Open(t.Context(), nc, eventstore.Config{Durable: func(context.Context) (bool, error) { return true, nil }})
	require.NoError(t, err)
	keys := vault.RootKeys{File: filepath.Join(t.TempDir(), "root.keyset")}
	secrets, err := recovery.OpenVault(t.Context(), nc, events, keys, 1)
	require.NoError(t, err)
	service := &commands.Service{Events: events, Vault: secrets, Rules: connectors.Rules(), Now: time.Now, NewID: rand.Text}
	for _, name := range []string{"crm", "ehr"} {
		_, err = service.CreateIntegration(t.Context(), commands.Caller{Workspace: "acme"}, domain.Document{
			"name": name, "display_name": name, "base_url": "https://crm.example.com", "auth": map[string]any{"bearer_token_value": "t"},
		}, commands.Condition{})
		require.NoError(t, err)
	}
	return events, keys
}

func find(t *testing.T, nc *nats.Conn, events *eventstore.Store, mark eventstore.Mark) recovery.Loss {
	t.Helper()
	loss, err := recovery.FindLoss(t.Context(), nc, events, mark, func(uint64, uint64) {})
	require.NoError(t, err)
	return loss
}

func TestNothingIsLostOfAWholeLog(t *testing.T) {
	nc := natstest.Connect(t)
	events, keys := open(t, nc)
	loss := find(t, nc, events, eventstore.Mark{})
	require.False(t, loss.Any())
	require.NoError(t, loss.Accept(t.Context(), nc, events, keys, 1, time.Now()))
	require.False(t, loss.Applied)
}

func TestAVaultWhoseSecretsAreGoneIsCreatedOnceTheLossIsAccepted(t *testing.T) {
	nc := natstest.Connect(t)
	events, keys := open(t, nc)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.NoError(t, js.DeleteStream(t.Context(), "SECRETS"))
	_, err = recovery.OpenVault(t.Context(), nc, events, keys, 1)
	require.ErrorIs(t, err, recovery.ErrSecretsLost)

	loss := find(t, nc, events, eventstore.Mark{})
	require.True(t, loss.SecretsLost)
	require.NoError(t, loss.Accept(t.Context(), nc, events, keys, 1, time.Now()))
	_, err = recovery.OpenVault(t.Context(), nc, events, keys, 1)
	require.NoError(t, err)
}

func TestALogContinuesWithoutMissingEventsOnceTheLossIsAccepted(t *testing.T) {
	nc := natstest.Connect(t)
	events, keys := open(t, nc)
	seen := eventstore.Mark{Log: events.Lineage().ID(), Position: 9}
	loss := find(t, nc, events, seen)
	require.True(t, loss.Any())
	var text strings.Builder
	require.NoError(t, loss.WriteText(&text))
	require.Contains(t, text.String(), "run again with --apply")

	require.NoError(t, loss.Accept(t.Context(), nc, events, keys, 1, time.Now()))
	require.True(t, loss.Applied)
	again := find(t, nc, events, seen)
	require.False(t, again.Any())
}
