package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/ferrettest"
	"github.com/seed677028b5/integrations/internal/natstest"
)

func TestRolesThatWouldNeverMeetAreRefused(t *testing.T) {
	nats := "--nats-url=nats://" + natstest.Listen(t)
	for _, args := range [][]string{
		{"--roles=api,projector"}, {"--roles=prober"}, {"--roles=api,prober", nats}, {"--roles=api", nats}, {"--roles=nobody", nats},
	} {
		exit, out := tool(t, append([]string{"serve", "--listen=127.0.0.1:0", "--data", t.TempDir()}, args...)...)
		require.NotZero(t, exit, args)
		require.Contains(t, out, "--roles", args)
	}
}

// deployment is several processes on one NATS server and one MongoDB.
type deployment struct {
	t    *testing.T
	args []string
	root string // what every process shares of its data folder
}

func deploy(t *testing.T) *deployment {
	t.Helper()
	address, monitor := natstest.ListenMonitored(t, true)
	return &deployment{t: t, root: t.TempDir(), args: []string{
		"--nats-url=nats://" + address, "--nats-monitor-url=" + monitor, "--mongodb-uri=" + ferrettest.Listen(t),
	}}
}

// start starts a process on a data folder of its own, with the root key and the
// operator's key of the others.
func (d *deployment) start(args ...string) *process {
	d.t.Helper()
	data := d.t.TempDir()
	for _, shared := range []string{"root.keyset", "operator.key"} {
		content, err := os.ReadFile(filepath.Join(d.root, shared))
		if errors.Is(err, os.ErrNotExist) {
			data = d.root // the first makes them
			break
		}
		require.NoError(d.t, err)
		require.NoError(d.t, os.WriteFile(filepath.Join(data, shared), content, 0o600))
	}
	return startProcess(d.t, data, append(args, d.args...)...)
}

func TestProcessesShareTheWork(t *testing.T) {
	slow(t)
	d := deploy(t)
	projector := d.start("--roles=projector")
	standby := d.start("--roles=projector")
	prober := d.start("--roles=prober,webhooks", "--probe-interval=0s")
	one, other := d.start("--roles=api"), d.start("--roles=api")

	for _, p := range []*process{projector, prober} { // they serve no API, and report their health
		p.must(http.StatusOK, http.MethodGet, "/readyz", "")
		p.must(http.StatusNotFound, http.MethodGet, all, "")
	}
	one.must(http.StatusCreated, http.MethodPost, all, crm("crm", "t"))
	require.Eventually(t, func() bool { // a follower looks 50 times a second
		status, _, err := other.do(http.MethodGet, all+"/crm", "")
		return err == nil && status == http.StatusOK
	}, time.Minute, 5*time.Millisecond)
	var checked struct{ Total, Unhealthy int }
	require.NoError(t, json.Unmarshal([]byte(other.must(http.StatusOK, http.MethodGet, all+"/health-check", "")), &checked))
	require.Equal(t, 1, checked.Unhealthy, "the prober saw it: %+v", checked)

	projector.kill()
	one.must(http.StatusCreated, http.MethodPost, all, crm("ehr", "t"))
	require.Eventually(t, func() bool {
		status, _, err := other.do(http.MethodGet, all+"/ehr", "")
		return err == nil && status == http.StatusOK
	}, time.Minute, 20*time.Millisecond, "another took over")
	require.Zero(t, standby.stop())
}

// The clients speak TLS and HTTP/2.
func TestARollingRestartFailsNoRequest(t *testing.T) {
	slow(t)
	d := deploy(t)
	folder := t.TempDir()
	writeCertificate(t, folder, 1)
	trusting := client(nil)
	start := func() *process {
		p := d.start("--roles=api,projector", "--drain-delay=500ms", "--tls-cert="+filepath.Join(folder, "tls.pem"), "--tls-key="+filepath.Join(folder, "tls.key"))
		p.client = trusting
		return p
	}
	var fleet balancer
	for range 2 {
		fleet.add(start())
	}
	end := make(chan struct{})
	var load sync.WaitGroup
	var made, failed atomic.Int64
	for worker := range 4 {
		load.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-end:
					return
				default:
				}
				name := fmt.Sprintf("crm-%d-%d", worker, n)
				for _, r := range [][3]string{{http.MethodPost, all, crm(name, "t")}, {http.MethodGet, all + "?limit=5", ""}} {
					status, answer, err := fleet.next().do(r[0], r[1], r[2])
					if err != nil || status >= 500 {
						failed.Add(1)
						t.Logf("%s %s: %d %s %v", r[0], r[1], status, answer, err)
					}
					made.Add(1)
				}
			}
		})
	}
	grow := func(by int64) {
		from := made.Load()
		require.Eventually(t, func() bool { return made.Load() > from+by }, time.Minute, time.Millisecond)
	}
	grow(20)
	for range 2 {
		old := fleet.retire()
		require.Zero(t, old.stop())
		grow(20)
		fleet.add(start())
		grow(20)
	}
	close(end)
	load.Wait()
	require.Zero(t, failed.Load(), "of %d requests", made.Load())
}

// balancer hands requests to processes in turn, as long as they report that they
// are ready.
type balancer struct {
	mu    sync.Mutex
	among []*process
	turn  int
}

func (b *balancer) add(p *process) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.among = append(b.among, p)
}

func (b *balancer) next() *process {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn++
	return b.among[b.turn%len(b.among)]
}

// retire returns the process that is to be restarted. It gets no requests once
// it reports that it is not ready, which is after SIGTERM.
func (b *balancer) retire() *process {
	b.mu.Lock()
	old := b.among[0]
	b.mu.Unlock()
	go func() {
		for range time.Tick(5 * time.Millisecond) { // as often as it looks
			if status, _, err := old.do(http.MethodGet, "/readyz", ""); err != nil || status != http.StatusOK {
				break
			}
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.among = b.among[1:]
	}()
	return old
}
