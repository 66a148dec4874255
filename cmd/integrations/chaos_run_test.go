package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/chaos"
)

const (
	chaosClients = 64
	chaosNames   = 40 // integrations that they contend for
	chaosEpoch   = 10 // rounds after which they turn to other integrations, so that no history gets too long to be judged
	leastRounds  = 2  // however short the time
)

// chaosRun is one scenario: a service, the load on it, and what its log has to bear out.
type chaosRun struct {
	t       *testing.T
	p       *process
	data    string
	stores  []string // flags
	target  atomic.Pointer[process]
	history *chaos.History
	ledger  *chaos.Ledger
	clients chaos.Load
	faults  int
	verdict chaos.Verdict // the last
}

// newChaos starts a service on a data folder, to be put under load.
func newChaos(t *testing.T, data string, stores ...string) *chaosRun {
	t.Helper()
	c := &chaosRun{t: t, data: data, stores: stores, history: chaos.NewHistory(), ledger: chaos.NewLedger()}
	c.clients.History, c.clients.Prefix, c.clients.Clients = c.history, "chaos", chaosClients
	c.clients.Target = func() (workspace, key string) {
		p := c.target.Load()
		return p.url + "/v1/acme", p.key
	}
	c.turnTo(0)
	c.start()
	t.Cleanup(c.keepEvidence)
	return c
}

// keepEvidence writes what a failure is to be judged by: the last operations, and
// the whole log.
func (c *chaosRun) keepEvidence() {
	if !c.t.Failed() {
		return
	}
	var lines strings.Builder
	for _, operations := range c.history.Of(c.clients.Names) {
		for _, o := range operations {
			_, _ = fmt.Fprintf(&lines, "%+v\n", o)
		}
	}
	var log bytes.Buffer
	execute(context.Background(), append([]string{"replay", "--data", c.data}, c.stores...), &log, io.Discard) // the test's own context has ended
	for name, text := range map[string]string{"operations.txt": lines.String(), "log.jsonl": log.String()} {
		if err := os.WriteFile(filepath.Join(c.t.ArtifactDir(), name), []byte(text), 0o600); err != nil {
			c.t.Error(err)
		}
	}
	c.t.Logf("the operations and the log are in %s; go test -artifacts keeps them", c.t.ArtifactDir())
}

// start starts the service, and sends the clients there.
func (c *chaosRun) start() {
	c.t.Helper()
	c.p = startProcess(c.t, c.data, append([]string{"--probe-interval=0s"}, c.stores...)...)
	c.target.Store(c.p)
}

func (c *chaosRun) serve() []string {
	return append([]string{"serve", "--listen=127.0.0.1:0", "--data=" + c.data}, c.stores...)
}

// turnTo gives the clients other integrations.
func (c *chaosRun) turnTo(epoch int) {
	c.clients.Names = nil
	for n := range chaosNames {
		c.clients.Names = append(c.clients.Names, fmt.Sprintf("crm-%d-%d", epoch, n))
	}
}

// run injects faults until the time is over, checks everything after each, and
// returns what came of it.
func (c *chaosRun) run(d time.Duration, fault func()) chaos.Verdict {
	c.t.Helper()
	until, logged := time.Now().Add(d), time.Now()
	for round := 1; round <= leastRounds || time.Now().Before(until); round++ {
		stop := c.load()
		c.progress(1)
		time.Sleep(rand.N(time.Second)) // at any moment
		fault()
		c.faults++
		c.progress(200) // it heals by itself
		stop()
		c.check()
		if round%chaosEpoch == 0 {
			c.checkOrder()
			c.turnTo(round / chaosEpoch)
		}
		if time.Since(logged) > 10*time.Second {
			logged = time.Now()
			n := c.history.Counts()
			c.t.Logf("%d operations acknowledged, %d faults, %s left", n.Acknowledged(), c.faults, max(0, time.Until(until)).Round(time.Second))
		}
	}
	c.checkOrder()
	return c.verdict
}

// load makes load until the function that it returns is called.
func (c *chaosRun) load() (stop func()) {
	ctx, cancel := context.WithCancel(c.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); c.clients.Run(ctx) }()
	return func() { cancel(); <-done }
}

// progress waits until some more writes are acknowledged, however long that takes. It
// fails when none is for a minute.
func (c *chaosRun) progress(writes int) {
	c.t.Helper()
	for enough := c.history.Counts().Writes + writes; ; {
		before := c.history.Counts().Writes
		if before >= enough {
			return
		}
		require.Eventually(c.t, func() bool { return c.history.Counts().Writes > before }, time.Minute, time.Millisecond, "writes are acknowledged")
	}
}

// check holds the read model, the vault and the answers to the log.
func (c *chaosRun) check() {
	c.t.Helper()
	exit, out := tool(c.t, append([]string{"verify", "--data", c.data}, c.stores...)...)
	require.Zero(c.t, exit, out)
	c.readLog()
	for _, name := range c.clients.Names {
		shown, recorded := c.shown(name)
		for until := time.Now().Add(time.Minute); shown != recorded; shown, recorded = c.shown(name) {
			require.True(c.t, time.Now().Before(until), "%s is shown as %s, and the log leads to %s", name, shown, recorded)
			c.readLog() // what a client gave up on may have come meanwhile
		}
	}
	c.verdict = c.ledger.Judge(c.history)
	require.Empty(c.t, c.verdict.Problems)
}

// shown returns an integration as any caller is shown it, and as the log has it.
func (c *chaosRun) shown(name string) (shown, recorded string) {
	c.t.Helper()
	const is = "%q at version %d"
	recorded = "none"
	if marker, version, exists := c.ledger.Shown(name); exists {
		recorded = fmt.Sprintf(is, marker, version)
	}
	status, body, err := c.p.do(http.MethodGet, all+"/"+name, "")
	require.NoError(c.t, err)
	if status == http.StatusNotFound {
		return "none", recorded
	}
	require.Equal(c.t, http.StatusOK, status, body)
	var i struct {
		DisplayName string `json:"display_name"`
		Version     uint64 `json:"version"`
	}
	require.NoError(c.t, json.Unmarshal([]byte(body), &i))
	return fmt.Sprintf(is, i.DisplayName, i.Version), recorded
}

// checkOrder looks for an order of the operations that explains every answer.
func (c *chaosRun) checkOrder() {
	c.t.Helper()
	for name, operations := range c.history.Of(c.clients.Names) {
		require.NoError(c.t, chaos.CheckLinearizable(c.t, name, operations, c.t.ArtifactDir()))
	}
}

// readLog reads what the log has by now.
func (c *chaosRun) readLog() {
	c.t.Helper()
	var events, progress bytes.Buffer
	exit := execute(c.t.Context(), append([]string{"replay", "--data", c.data, "--after", fmt.Sprint(c.ledger.Last())}, c.stores...), &events, &progress)
	require.Zero(c.t, exit, progress.String())
	require.NoError(c.t, c.ledger.Read(&events))
}

// tally is the table at the end of it all.
type tally map[string]string // a row for each scenario

func (y tally) add(t *testing.T, c *chaosRun, v chaos.Verdict) {
	n := c.history.Counts()
	y[scenarioOf(t)] = fmt.Sprintf("%d\t%d\t%d\t%d\t%d\t%d\t%d", n.Writes, n.Reads, n.Refused, n.Unknown, v.Late, c.faults, v.Lost)
}

// scenarioOf returns the name of a subtest as it was given.
func scenarioOf(t *testing.T) string {
	_, name, _ := strings.Cut(t.Name(), "/")
	return strings.ReplaceAll(name, "_", " ")
}

func (y tally) String() string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "\nscenario\twrites acknowledged\treads acknowledged\trefused\tunknown\tof these made\tfaults\tlost")
	for _, scenario := range []string{killedService, killedNATS, cutPower, brokenCluster} {
		_, _ = fmt.Fprintf(w, "%s\t%s\n", scenario, cmp.Or(y[scenario], "NOT TESTED, or failed: see above"))
	}
	_ = w.Flush()
	return text.String()
}
