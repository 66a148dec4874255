package eventstore_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/faultproxy"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// behindProxy returns a store that reaches its server through a proxy, a store
// that reaches it directly, and the proxy.
func behindProxy(t *testing.T) (far, near *eventstore.Store, proxy *faultproxy.Proxy) {
	t.Helper()
	address := natstest.Listen(t)
	proxy = faultproxy.New(t, address)
	connect := func(to string) *eventstore.Store {
		nc, err := nats.Connect(to, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectBufSize(-1))
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		return openFor(t, nc, 5*time.Second)
	}
	return connect(proxy.Listen), connect(address), proxy
}

func TestAnAppendWhoseAckIsLostIsFoundInTheLog(t *testing.T) {
	far, near, proxy := behindProxy(t)
	proxy.Mute(faultproxy.Downstream)
	appended := make(chan error, 1)
	var position uint64
	go func() {
		var err error
		position, err = far.Append(t.Context(), "acme", crm(1).ID, 0, domain.IntegrationCreated{Integration: crm(1)}, meta("c1"))
		appended <- err
	}()
	require.Eventually(t, func() bool { // the server has it, and its answer doesn't arrive
		head, err := near.Head(t.Context())
		return err == nil && head == 1
	}, time.Minute, 5*time.Millisecond)
	proxy.Heal()
	require.NoError(t, <-appended)
	require.Equal(t, uint64(1), position)
}

func TestWithoutNATSEverythingIsUnavailableAndRecoversByItself(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	t.Parallel()
	far, _, proxy := behindProxy(t)
	proxy.Stop()
	_, err := far.Append(t.Context(), "acme", crm(1).ID, 0, domain.IntegrationCreated{Integration: crm(1)}, meta("c1"))
	require.Equal(t, domain.Unavailable, domain.KindOf(err))
	_, err = far.Load(t.Context(), "acme", crm(1).ID)
	require.Equal(t, domain.Unavailable, domain.KindOf(err))
	require.Equal(t, domain.Unavailable, domain.KindOf(far.CheckWritable(t.Context())))
	proxy.Start()
	require.Eventually(t, func() bool { return far.CheckWritable(t.Context()) == nil }, time.Minute, 20*time.Millisecond)
	appendTo(t, far, 0, domain.IntegrationCreated{Integration: crm(1)}, "c1")
}
