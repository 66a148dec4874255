package natstest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/internal/faultproxy"
)

// Cluster is three servers, each with a copy of every stream of three replicas.
// The connections between the last server and the others pass through proxies.
type Cluster struct {
	Servers []*server.Server
	options []*server.Options
	proxies []proxied
}

// proxied is a proxy, and the direction to the last server.
type proxied struct {
	*faultproxy.Proxy

	towards string
}

// NewCluster starts a cluster that goes away with the test.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{}
	var at []string
	for range 3 {
		at = append(at, freeAddress(t))
	}
	near := []string{at[0], at[1], c.proxy(t, at[2], faultproxy.Upstream)}
	far := []string{c.proxy(t, at[0], faultproxy.Downstream), c.proxy(t, at[1], faultproxy.Downstream), at[2]}
	for n, routes := range [][]string{near, near, far} {
		own, err := net.ResolveTCPAddr("tcp", at[n])
		if err != nil {
			t.Fatal(err)
		}
		c.Servers = append(c.Servers, nil)
		c.options = append(c.options, &server.Options{
			ServerName: fmt.Sprint("nats-", n+1), Host: "127.0.0.1", Port: server.RANDOM_PORT, StoreDir: t.TempDir(), JetStream: true, SyncAlways: true,
			NoSigs: true, NoLog: true, Routes: server.RoutesFromStr("nats://" + strings.Join(routes, ",nats://")),
			Cluster: server.ClusterOpts{Name: "test", Host: own.IP.String(), Port: own.Port, NoAdvertise: true},
		})
		c.Start(t, n)
	}
	for n := range c.Servers {
		js, err := jetstream.New(c.Connect(t, n))
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "a stream of three copies can be made", func() bool { // once the leader knows all peers to be there
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "READY", Replicas: len(c.Servers)})
			return err == nil
		})
	}
	return c
}

// Start starts one of the servers, where it was before if it has been stopped.
func (c *Cluster) Start(t testing.TB, n int) {
	t.Helper()
	srv, err := server.NewServer(c.options[n])
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { stop(srv) })
	c.Servers[n] = srv
}

// Stop stops one of the servers.
func (c *Cluster) Stop(n int) { stop(c.Servers[n]) }

// Wipe stops one of the servers, takes its disk away, and starts it on an empty one.
func (c *Cluster) Wipe(t testing.TB, n int) {
	t.Helper()
	c.Stop(n)
	if err := os.RemoveAll(filepath.Join(c.options[n].StoreDir, "jetstream")); err != nil {
		t.Fatal(err)
	}
	c.Start(t, n)
}

func stop(srv *server.Server) { srv.Shutdown(); srv.WaitForShutdown() }

// proxy returns the address of a proxy.
func (c *Cluster) proxy(t testing.TB, to, towards string) string {
	t.Helper()
	p := faultproxy.New(t, to)
	c.proxies = append(c.proxies, proxied{p, towards})
	return p.Listen
}

// Lag delays what the others send to the last server. It stays their follower while the
// delay is below 4 s.
func (c *Cluster) Lag(t testing.TB, by time.Duration) {
	t.Helper()
	for _, p := range c.proxies {
		p.Delay(p.towards, by.Milliseconds())
	}
}

// CutOff lets nothing through between the last server and the others, until Mend.
func (c *Cluster) CutOff() {
	for _, p := range c.proxies {
		p.Mute(faultproxy.Upstream)
		p.Mute(faultproxy.Downstream)
	}
}

// Mend ends what CutOff began.
func (c *Cluster) Mend() {
	for _, p := range c.proxies {
		p.Heal()
	}
}

// Connect returns a connection to one of the servers, and to no other.
func (c *Cluster) Connect(t testing.TB, n int) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect("nats://"+c.Servers[n].Addr().String(), nats.DontRandomize(), nats.IgnoreDiscoveredServers(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// Lead gives the leadership of a stream to another server until one of the first
// two has it, and returns which.
func (c *Cluster) Lead(t testing.TB, stream string) int {
	t.Helper()
	return c.lead(t, stream, 0, 1)
}

// LeadLast gives the leadership of a stream to the last server.
func (c *Cluster) LeadLast(t testing.TB, stream string) {
	t.Helper()
	c.lead(t, stream, 2)
}

func (c *Cluster) lead(t testing.TB, stream string, of ...int) int {
	t.Helper()
	leader := -1
	nc := c.Connect(t, 0)
	eventually(t, fmt.Sprintf("one of the servers %v leads %s", of, stream), func() bool {
		for _, n := range of {
			if c.Servers[n].JetStreamIsStreamLeader("$G", stream) {
				leader = n
				return true
			}
		}
		_, _ = nc.Request("$JS.API.STREAM.LEADER.STEPDOWN."+stream, nil, time.Second) // asked again until it is so
		return false
	})
	return leader
}

func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	ticks := time.NewTicker(20 * time.Millisecond)
	defer ticks.Stop()
	for deadline := time.After(2 * time.Minute); !so(); {
		select {
		case <-ticks.C:
		case <-deadline:
			t.Fatal("not within 2 minutes: " + what)
		}
	}
}
