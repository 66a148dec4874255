package main

import (
	"math/rand/v2"
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
	each := chaosFor(t) / 3
	told := tally{}
	t.Run(killedService, func(t *testing.T) {
		c := newChaos(t, t.TempDir())
		told.add(t, c, c.run(each, func() {
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
		told.add(t, c, c.run(each, func() {
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
		told.add(t, c, c.run(each, func() {
			disk.Cut(c.p.cmd.Process)
			c.p.kill()
			disk.Mount()
			c.start()
		}))
	})
	t.Log(told)
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
