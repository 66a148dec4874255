package natstest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/internal/faultproxy"
)

// ProcessCluster is three servers, each a process of its own. The last one can be
// cut off from the others.
type ProcessCluster struct {
	Servers []*Process
	t       testing.TB
	dirs    []string
	proxies *Cluster // between the last server and the others
}

// SpawnCluster starts a cluster that goes away with the test.
func SpawnCluster(t testing.TB) *ProcessCluster {
	t.Helper()
	program := build(t)
	c := &ProcessCluster{t: t, proxies: &Cluster{}}
	var at []string
	for range 3 {
		at = append(at, freeAddress(t))
	}
	near := []string{at[0], at[1], c.proxies.proxy(t, at[2], faultproxy.Upstream)}
	far := []string{c.proxies.proxy(t, at[0], faultproxy.Downstream), c.proxies.proxy(t, at[1], faultproxy.Downstream), at[2]}
	for n, routes := range [][]string{near, near, far} {
		dir := t.TempDir()
		c.dirs = append(c.dirs, dir)
		c.Servers = append(c.Servers, newProcess(t, program, fmt.Sprintf(
			"server_name: nats-%d\njetstream { store_dir: %q, sync_interval: always }\ncluster { name: test, listen: %q, no_advertise: true, routes: [nats://%s] }\n",
			n+1, dir, at[n], strings.Join(routes, ", nats://"))))
	}
	c.Start(0, 1, 2)
	return c
}

// Flags are what a service needs to know of the cluster.
func (c *ProcessCluster) Flags() []string {
	var urls, flags []string
	for _, p := range c.Servers {
		urls = append(urls, p.URL)
		flags = append(flags, "--nats-monitor-url="+p.Monitor)
	}
	return append(flags, "--nats-url="+strings.Join(urls, ","))
}

// Start starts servers and waits until all three are healthy: each has caught up
// with the others.
func (c *ProcessCluster) Start(which ...int) {
	c.t.Helper()
	for _, n := range which {
		c.Servers[n].launch()
	}
	c.Heal()
}

// Heal waits until all servers are healthy.
func (c *ProcessCluster) Heal() {
	c.t.Helper()
	for _, p := range c.Servers {
		p.await("")
	}
}

// Kill ends servers at once (SIGKILL).
func (c *ProcessCluster) Kill(which ...int) {
	for _, n := range which {
		_ = c.Servers[n].cmd.Process.Kill()
	}
	for _, n := range which {
		_ = c.Servers[n].cmd.Wait()
	}
}

// Restart has a server end as its operator would, and starts it again.
func (c *ProcessCluster) Restart(n int) {
	c.t.Helper()
	if err := c.Servers[n].cmd.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
	_ = c.Servers[n].cmd.Wait()
	c.Start(n)
}

// Freeze has a server stand still for a while.
func (c *ProcessCluster) Freeze(n int, d time.Duration) {
	c.t.Helper()
	for _, signal := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
		if err := c.Servers[n].cmd.Process.Signal(signal); err != nil {
			c.t.Fatal(err)
		}
		if signal == syscall.SIGSTOP {
			time.Sleep(d)
		}
	}
	c.Heal()
}

// CutOff lets nothing through between the last server and the others for a while.
func (c *ProcessCluster) CutOff(d time.Duration) {
	c.t.Helper()
	c.proxies.CutOff()
	time.Sleep(d)
	c.proxies.Mend()
	c.Heal()
}

// Wipe ends a server at once, takes its disk away, and starts it on an empty one.
func (c *ProcessCluster) Wipe(n int) {
	c.t.Helper()
	c.Kill(n)
	if err := os.RemoveAll(filepath.Join(c.dirs[n], "jetstream")); err != nil {
		c.t.Fatal(err)
	}
	c.Start(n)
}

// Leader returns which server leads a stream.
func (c *ProcessCluster) Leader(stream string) int {
	c.t.Helper()
	var urls []string
	for _, p := range c.Servers {
		urls = append(urls, p.URL)
	}
	nc, err := nats.Connect(strings.Join(urls, ","), nats.MaxReconnects(-1))
	if err != nil {
		c.t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		c.t.Fatal(err)
	}
	leader := -1
	eventually(c.t, "a server leads "+stream, func() bool {
		s, err := js.Stream(c.t.Context(), stream)
		if err != nil || s.CachedInfo().Cluster == nil {
			return false
		}
		_, err = fmt.Sscanf(s.CachedInfo().Cluster.Leader, "nats-%d", &leader)
		return err == nil
	})
	return leader - 1
}
