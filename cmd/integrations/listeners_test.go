package main

import (
	"net"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/natstest"
)

func TestNoIntegrationMayCallTheStoresOfThisService(t *testing.T) {
	address, monitor := natstest.ListenMonitored(t, true)
	f := storeFlags{
		Data: t.TempDir(), NATSURL: "nats://" + address, NATSMonitorURL: []string{monitor},
		MongoDBURI: "mongodb://ann:p%40ss@127.0.0.1:27018,[::1],localhost:27019/?replicaSet=rs0",
	}
	conn, err := f.connect(quiet())
	require.NoError(t, err)
	defer conn.Close()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/otlp")
	traces, _, err := openTraces(t.Context(), nil, quiet())
	require.NoError(t, err)
	defer traces.Close()
	own := listeners(t.Context(), l, conn, append(mongoHostPorts(f.MongoDBURI), collectorHostPort(traces)...))
	for _, want := range []string{address, filepath.Base(monitor), l.Addr().String(), "127.0.0.1:27018", "[::1]:27017", "127.0.0.1:27019", "127.0.0.1:4318"} {
		require.Contains(t, own, netip.MustParseAddrPort(want))
	}
}
