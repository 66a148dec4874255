package verify_test

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/connectors"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/projections/sqlite"
	"github.com/seed677028b5/integrations/vault"
	"github.com/seed677028b5/integrations/verify"
)

var ann = commands.Caller{Workspace: "acme", Actor: "key-ann", RequestID: "req-1"}

// open returns a service with an integration that has a secret, and what verifies it.
func open(t *testing.T) (*commands.Service, verify.Config) {
	t.Helper()
	_, service, c := openOn(t)
	return service, c
}

// openOn is open, and returns the connection too.
func openOn(t *testing.T) (*nats.Conn, *commands.Service, verify.Config) {
	t.Helper()
	nc, log := natstest.Connect(t), slog.New(slog.DiscardHandler)
	events, err := eventstore.Open(t.Context(), nc, eventstore.Config{Durable: func(context.Context) (bool, error) { return true, nil }})
	require.NoError(t, err)
	secrets, err := vault.Open(t.Context(), nc, vault.RootKeys{File: filepath.Join(t.TempDir(), "root.keyset")}, 1)
	require.NoError(t, err)
	service := &commands.Service{Events: events, Vault: secrets, Rules: connectors.Rules(), Now: time.Now, NewID: rand.Text, Log: log}
	_, err = service.CreateIntegration(t.Context(), ann, domain.Document{
		"name": "crm", "display_name": "CRM", "base_url": "https://crm.example.com", "auth": map[string]any{"bearer_token_value": "t"},
	}, commands.Condition{})
	require.NoError(t, err)
	return nc, service, verify.Config{
		Events: events, Vault: secrets, Generations: &sqlite.Generations{Folder: t.TempDir(), Log: log},
		CatchUp: time.Minute, Now: time.Now, Progress: io.Discard, Log: log,
	}
}

func TestALogItsReadModelAndItsVaultAgree(t *testing.T) {
	service, c := open(t)
	for range 2 {
		report, err := verify.Run(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, verify.Report{Events: 1, Integrations: 1, Secrets: 1, Problems: []string{}}, report)
		var text strings.Builder
		require.NoError(t, report.WriteText(&text))
		require.Contains(t, text.String(), "ok: ")
	}
	_, err := service.DeleteIntegration(t.Context(), ann, domain.NewID("acme", "crm"), "", commands.Condition{})
	require.NoError(t, err)
	report, err := verify.Run(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, verify.Report{Events: 2, Problems: []string{}}, report)
}

func TestASecretThatIsGoneOrLeftOverIsAProblem(t *testing.T) {
	service, c := open(t)
	i, err := c.Events.Load(t.Context(), "acme", domain.NewID("acme", "crm"))
	require.NoError(t, err)
	integration := domain.Evolve(domain.Integration{}, i.Event)
	orphan := domain.SealedSecret{Ref: domain.SecretRef{ID: "left-over", Field: "auth.bearer_token_value"}, Secret: domain.NewSecret("x")}
	require.NoError(t, service.Vault.Seal(t.Context(), integration.Owner(), orphan))
	c.Now = func() time.Time { return time.Now().Add(commands.SweepAfter + time.Hour) }
	report, err := verify.Run(t.Context(), c)
	require.NoError(t, err)
	require.Len(t, report.Problems, 1)
	require.Contains(t, report.Problems[0], "secret left-over of acme/")

	require.NoError(t, service.Vault.Destroy(t.Context(), integration.Owner(), integration.Secrets()[0]))
	report, err = verify.Run(t.Context(), c)
	require.NoError(t, err)
	require.Len(t, report.Problems, 2)
	require.Contains(t, report.Problems[0], "secret auth.bearer_token_value")
}

func TestATotalOfTheReadModelThatIsWrongIsAProblem(t *testing.T) {
	_, c := open(t)
	report, err := verify.Run(t.Context(), c)
	require.NoError(t, err)
	require.Empty(t, report.Problems)
	file, err := filepath.Glob(filepath.Join(c.Generations.(*sqlite.Generations).Folder, "read-*.db"))
	require.NoError(t, err)
	db, err := driver.Open("file:" + file[0])
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `UPDATE counts SET number = number + 1 WHERE enabled AND protocol = 'rest'`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	report, err = verify.Run(t.Context(), c)
	require.NoError(t, err)
	require.Len(t, report.Problems, 4)
	require.Contains(t, report.Problems[0], "acme: a total of the read model differs from the log: 2 integrations, and not 1")
}

func TestAnAuthorizationThatTheReadModelLacksOrThatHasNoTokensIsAProblem(t *testing.T) {
	_, c := open(t)
	change := func(after uint64, e domain.AuthorizationEvent, state domain.Authorization) uint64 {
		position, err := c.Events.AppendAuthorization(t.Context(), after, domain.AuthorizationChanged{
			Workspace: "acme", ID: domain.NewID("acme", "crm"), Key: "7f", Change: e, State: domain.EvolveAuthorization(state, e),
		}, domain.Metadata{CommandID: rand.Text(), At: time.Now(), Actor: "key-ann"})
		require.NoError(t, err)
		return position
	}
	started := domain.AuthorizationStarted{Name: "crm", Subject: "s", Incarnation: 1, By: "key-ann", At: time.Now().UTC()}
	given := domain.Authorized{Incarnation: 1, ClientID: "us", By: "key-ann", Grant: domain.SecretRef{ID: "grant-7f-1", Field: "authorization", Version: 1}, At: started.At}
	first := change(0, started, domain.Authorization{})
	report, err := verify.Run(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, verify.Report{Events: 2, Integrations: 1, Authorizations: 1, Secrets: 1, Problems: []string{}}, report)

	state := domain.EvolveAuthorization(domain.Authorization{}, started)
	change(first, given, state)
	report, err = verify.Run(t.Context(), c)
	require.NoError(t, err)
	require.Len(t, report.Problems, 1)
	require.Contains(t, report.Problems[0], "the tokens of the authorization 7f")

	_, store, err := projections.OpenLive(t.Context(), c.Generations)
	require.NoError(t, err)
	other := projections.Authorization{AuthorizationRef: domain.AuthorizationRef{Workspace: "acme", ID: domain.NewID("acme", "crm"), Key: "7f"}, Position: 99, State: state}
	require.NoError(t, store.Apply(t.Context(), projections.Batch{Authorizations: []projections.Authorization{other}}))
	require.NoError(t, store.Close())
	report, err = verify.Run(t.Context(), c)
	require.NoError(t, err)
	require.Len(t, report.Problems, 2)
	require.Contains(t, report.Problems[1], "the read model differs from the log at the authorization 7f")
}
