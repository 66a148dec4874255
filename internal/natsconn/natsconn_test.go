package natsconn_test

import (
	"crypto/rand"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/datafolder"
	"github.com/seed677028b5/integrations/internal/natsconn"
	"github.com/seed677028b5/integrations/internal/natstest"
)

func TestAToolAttachesToTheServerOfARunningService(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	c := natsconn.Config{Data: datafolder.Folder(t.TempDir())}
	_, _, err := natsconn.Attach(c, log)
	require.ErrorContains(t, err, "there is no log in")

	service, err := natsconn.Connect(c, log)
	require.NoError(t, err)
	_, err = natsconn.Connect(c, log)
	require.ErrorIs(t, err, datafolder.ErrInUse)
	tool, running, err := natsconn.Attach(c, log)
	require.NoError(t, err)
	require.True(t, running)
	require.Equal(t, service.NATS.ConnectedServerId(), tool.NATS.ConnectedServerId())
	tool.Close()
	service.Close()
	require.NoFileExists(t, c.Data.Path(datafolder.NATSURL))

	tool, running, err = natsconn.Attach(c, log)
	require.NoError(t, err)
	require.False(t, running)
	tool.Close()
}

// The service answers from memory what nobody else can have changed.
func TestAServiceSeesWhatAToolHasAppended(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	c := natsconn.Config{Data: datafolder.Folder(t.TempDir())}
	service, err := natsconn.Connect(c, log)
	require.NoError(t, err)
	defer service.Close()
	open := func(conn *natsconn.Conn) *eventstore.Store {
		events, err := eventstore.Open(t.Context(), conn.NATS, eventstore.Config{Durable: conn.Durable, Others: conn.Others})
		require.NoError(t, err)
		return events
	}
	i := domain.Integration{Workspace: "acme", ID: domain.NewID("acme", "crm")}
	change := func(events *eventstore.Store, after uint64) uint64 {
		position, err := events.Append(t.Context(), i.Workspace, i.ID, after, domain.IntegrationCreated{Integration: i}, domain.Metadata{CommandID: rand.Text()})
		require.NoError(t, err)
		return position
	}
	events := open(service)
	requireCurrent := func(want uint64) {
		t.Helper()
		_, none, _ := service.Others()
		requests := service.NATS.Stats().OutMsgs
		for range 2 {
			last, err := events.Current(t.Context(), i.Workspace, i.ID)
			require.NoError(t, err)
			require.Equal(t, want, last.Position)
		}
		if none {
			require.Less(t, service.NATS.Stats().OutMsgs-requests, uint64(2), "it asks the server once")
		}
	}
	at := change(events, 0)
	requireCurrent(at)
	for range 5 {
		tool, running, err := natsconn.Attach(c, log)
		require.NoError(t, err)
		require.True(t, running)
		at = change(open(tool), at)
		requireCurrent(at)
		at = change(open(tool), at)
		tool.Close()
		requireCurrent(at)
		require.Eventually(t, func() bool { _, none, _ := service.Others(); return none }, time.Minute, time.Millisecond)
		requireCurrent(at)
		at = change(events, at)
		requireCurrent(at)
	}
}

func TestAServerOfTheOperatorIsConnectedTo(t *testing.T) {
	address, monitor := natstest.ListenMonitored(t, true)
	c := natsconn.Config{URL: "nats://" + address, MonitorURLs: []string{monitor}}
	conn, err := natsconn.Connect(c, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer conn.Close()
	durable, err := conn.Durable(t.Context())
	require.NoError(t, err)
	require.True(t, durable)
	require.Contains(t, conn.HostPorts(), address)
	require.Contains(t, conn.HostPorts(), monitor[len("http://"):])
	require.NoError(t, conn.Watch(t.Context()))
}

func TestAServerThatIsAwayIsNamedWithoutItsPassword(t *testing.T) {
	_, err := natsconn.Connect(natsconn.Config{URL: "nats://user:planted@127.0.0.1:1"}, slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, natsconn.ErrAway)
	require.NotContains(t, err.Error(), "planted")

	_, err = natsconn.Connect(natsconn.Config{URL: "nats://127.0.0.1:1", Creds: os.DevNull + "/none"}, slog.New(slog.DiscardHandler))
	require.Error(t, err)
}
