package natsconn_test

import (
	"log/slog"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

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
