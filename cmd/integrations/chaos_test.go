package main

import (
	"math/rand/v2"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/internal/powercut"
)

// The scenarios.
const (
	killedService = "the service is killed"
	killedNATS    = "nats-server is killed"
	cutPower      = "the power is cut"
	brokenCluster = "a cluster of NATS breaks"
)

// chaosFor is how long TestChaos goes on: CHAOS_FOR, a few seconds without it,
// never more than 10 minutes.
func chaosFor(t *testing.T) time.Duration {
	t.Helper()
	given := os.Getenv("CHAOS_FOR")
	if given == "" {
		return 6 * time.Second
	}
	d, err := time.ParseDuration(given)
	require.NoError(t, err, "CHAOS_FOR is a duration, such as 1m")
	return min(d, 10*time.Minute)
}

// Clients create, change, delete and read the same few integrations while faults
// are injected. After each fault everything is held to the log.
func TestChaos(t *testing.T) {
	slow(t)
	each := chaosFor(t) / 4
	sum := tally{}
	t.Run(killedService, func(t *testing.T) {
		c := newChaos(t, t.TempDir())
		sum.add(t, c, c.run(each, func() {
			c.p.kill()
			for rand.IntN(3) == 0 {
				c.startInVain()
			}
			c.start()
		}))
	})
	t.Run(killedNATS, func(t *testing.T) {
		server := natstest.Spawn(t, t.TempDir(), true)
		c := newChaos(t, t.TempDir(), "--nats-url="+server.URL, "--nats-monitor-url="+server.Monitor)
		sum.add(t, c, c.run(each, func() {
			both := rand.IntN(3) == 0
			server.Kill()
			if both {
				c.p.kill()
			}
			time.Sleep(rand.N(time.Second)) // how long it is away
			server.Start()
			if both {
				c.start()
			}
		}))
	})
	t.Run(cutPower, func(t *testing.T) {
		disk := powercut.New(t)
		c := newChaos(t, disk.Dir())
		sum.add(t, c, c.run(each, func() {
			disk.Cut(c.p.cmd.Process)
			c.p.kill()
			disk.Mount()
			c.start()
		}))
	})
	t.Run(brokenCluster, func(t *testing.T) {
		cluster := natstest.SpawnCluster(t)
		c := newChaos(t, t.TempDir(), append(cluster.Flags(), "--replicas=3")...)
		sum.add(t, c, c.run(each, clusterFaults(t, cluster)))
	})
	t.Log(sum)
}

// clusterFaults returns a function that makes one fault after another, in an order
// of chance. Each ends when the three servers are healthy again.
func clusterFaults(t *testing.T, cluster *natstest.ProcessCluster) func() {
	t.Helper()
	faults := []struct {
		name string
		make func()
	}{
		{"one is killed", func() { n := rand.IntN(3); cluster.Kill(n); cluster.Start(n) }},
		{"two are killed", func() { n := rand.IntN(3); cluster.Kill(n, (n+1)%3); cluster.Start(n, (n+1)%3) }},
		{"all are killed", func() { cluster.Kill(0, 1, 2); cluster.Start(0, 1, 2) }},
		{"the leader of the log is killed", func() { n := cluster.Leader("INTEGRATIONS"); cluster.Kill(n); cluster.Start(n) }},
		{"the leader of the log is frozen", func() { cluster.Freeze(cluster.Leader("INTEGRATIONS"), 2*time.Second+rand.N(6*time.Second)) }},
		{"one is cut off", func() { cluster.CutOff(2*time.Second + rand.N(6*time.Second)) }},
		{"one is given an empty disk", func() { cluster.Wipe(rand.IntN(3)) }},
		{"they are restarted one after another", func() {
			for n := range 3 {
				cluster.Restart(n)
			}
		}},
	}
	var order []int
	return func() {
		if len(order) == 0 {
			order = rand.Perm(len(faults))
		}
		fault := faults[order[0]]
		order = order[1:]
		t.Log("of the cluster", fault.name)
		fault.make()
	}
}

// The control of the cluster: with one copy of each stream, the disk that is taken
// away takes what was acknowledged with it.
func TestChaosFindsWhatAClusterWithOneCopyLoses(t *testing.T) {
	slow(t)
	cluster := natstest.SpawnCluster(t)
	c := newChaos(t, t.TempDir(), append(cluster.Flags(), "--replicas=1")...)
	stop := c.load()
	c.progress(100)
	stop()
	cluster.Wipe(cluster.Leader("INTEGRATIONS"))
	c.readLog()
	found := c.ledger.Judge(c.history)
	require.Positive(t, found.Lost)
	t.Logf("of %d acknowledged writes %d are lost", c.history.Counts().Writes, found.Lost)
	c.p.isReady(http.StatusServiceUnavailable, "log_incomplete")
}

// The control of TestChaos: the same load and the same checks on a NATS server
// that acknowledges before it syncs. Were nothing found here, nothing found there
// would mean little.
func TestChaosFindsWhatAServerThatDoesNotSyncLoses(t *testing.T) {
	disk := powercut.New(t)
	server := natstest.Spawn(t, disk.Dir(), false)
	c := newChaos(t, t.TempDir(), "--nats-url="+server.URL, "--allow-lazy-sync")
	disk.Sync() // the streams themselves stay
	stop := c.load()
	c.progress(100)
	stop()
	disk.Cut(server.Running())
	server.Kill()
	c.p.kill()
	disk.Mount()
	server.Start()
	c.readLog()
	found := c.ledger.Judge(c.history)
	require.Positive(t, found.Lost)
	t.Logf("of %d acknowledged writes %d are lost", c.history.Counts().Writes, found.Lost)
}

// startInVain starts the service and kills it before it is ready.
func (c *chaosRun) startInVain() {
	c.t.Helper()
	cmd := program(c.t.Context(), c.serve()...)
	require.NoError(c.t, cmd.Start())
	time.Sleep(rand.N(100 * time.Millisecond)) // somewhere on its way
	require.NoError(c.t, cmd.Process.Kill())
	_ = cmd.Wait()
	c.faults++
}
