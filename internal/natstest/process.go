package natstest

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// Process is a server in a process of its own, so that it can be killed. It
// goes away with the test.
type Process struct {
	URL     string // nats://127.0.0.1:<port>, the same after every start
	Monitor string // base URL of its monitoring port
	t       testing.TB
	program string
	config  string
	cmd     *exec.Cmd
}

// Spawn builds nats-server, starts it on dir with loopback ports of its own, and
// waits until it is ready. It syncs before it acknowledges, or when it thinks fit.
func Spawn(t testing.TB, dir string, syncs bool) *Process {
	t.Helper()
	sync := "always"
	if !syncs {
		sync = "2m" // the default
	}
	p := newProcess(t, build(t), fmt.Sprintf("jetstream { store_dir: %q, sync_interval: %s }\n", dir, sync))
	p.Start()
	return p
}

// build returns the program.
func build(t testing.TB) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "nats-server")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/nats-io/nats-server/v2")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as its releases are
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build nats-server: %v\n%s", err, out)
	}
	return program
}

// newProcess returns a server that is not started yet, with ports of its own.
func newProcess(t testing.TB, program, config string) *Process {
	t.Helper()
	p := &Process{t: t, program: program, config: filepath.Join(t.TempDir(), "nats.conf")}
	listen, monitor := freeAddress(t), freeAddress(t)
	p.URL, p.Monitor = "nats://"+listen, "http://"+monitor
	config = fmt.Sprintf("listen: %q\nhttp: %q\nmax_payload: 8MB\n", listen, monitor) + config
	if err := os.WriteFile(p.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// Start starts the server again where it was, and waits until it is ready.
func (p *Process) Start() {
	p.t.Helper()
	p.launch()
	p.await("?js-enabled-only=true") // a stream that is damaged is no reason not to run
}

// launch starts the server and does not wait.
func (p *Process) launch() {
	p.t.Helper()
	p.cmd = exec.CommandContext(p.t.Context(), p.program, "--config", p.config, "--log", p.config+".log")
	if err := p.cmd.Start(); err != nil {
		p.t.Fatalf("start nats-server: %v", err)
	}
}

// await waits until the server finds itself healthy, as a query of /healthz asks.
func (p *Process) await(query string) {
	p.t.Helper()
	answer := ""
	for until := time.Now().Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		res, err := http.Get(p.Monitor + "/healthz" + query)
		if err == nil {
			body, _ := io.ReadAll(res.Body)
			answer = string(body)
			if res.Body.Close() == nil && res.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(until) {
			log, _ := os.ReadFile(p.config + ".log")
			p.t.Fatalf("nats-server was not healthy within 2 minutes: %s\n%s", answer, log[max(0, len(log)-8<<10):])
		}
	}
}

// Running returns the process of the server that was started last.
func (p *Process) Running() *os.Process { return p.cmd.Process }

// Kill ends the server at once (SIGKILL), and returns when it is gone.
func (p *Process) Kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}

// freeAddress returns an address on loopback that nothing else takes while the server is
// down: its port is below those of outgoing connections, and on Linux, where every address
// of 127.0.0.0/8 can be used, its host is one that no other test picks.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		host := "127.0.0.1"
		if runtime.GOOS == "linux" {
			host = fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
		}
		address := fmt.Sprintf("%s:%d", host, 20_000+rand.IntN(12_000))
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return address
	}
	t.Fatal("no port is free")
	return ""
}
