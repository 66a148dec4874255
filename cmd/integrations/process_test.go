package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/connectors/sandbox"
)

// TestMain lets the test binary stand in for the program, so that a test can
// start it as a process and kill it.
func TestMain(m *testing.M) {
	sandbox.Become()
	if os.Getenv("RUN_AS_INTEGRATIONS") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// slow skips a test in short mode. Of each kind of test, one is not slow.
func slow(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
}

// readyWithin is how long a service may take to start.
var readyWithin = time.Minute

// process is a service running as a process of its own.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	data string
	url  string
	key  string
	done chan struct{}
	logs []string // the last lines it logged, once it has ended

	client *http.Client // default: http.DefaultClient
}

// startProcess starts a service on a data folder and waits until it is ready.
func startProcess(t *testing.T, data string, args ...string) *process {
	t.Helper()
	return startProcessUntil(t, data, "ready", args...)
}

// startProcessUntil starts a service on a data folder and waits until it logs a
// message.
func startProcessUntil(t *testing.T, data, message string, args ...string) *process {
	t.Helper()
	cmd := program(t.Context(), append([]string{"--log-format=json", "serve", "--listen=127.0.0.1:0", "--data=" + data, "--egress-allow-loopback"}, args...)...)
	logs, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &process{t: t, cmd: cmd, data: data, done: make(chan struct{})}
	t.Cleanup(p.kill)
	ready := make(chan string, 1)
	go func() {
		defer close(p.done)
		for lines := bufio.NewScanner(logs); lines.Scan(); {
			var line struct{ Msg, URL string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == message {
				select {
				case ready <- line.URL:
				default: // it was seen before
				}
			}
			p.logs = append(p.logs[max(0, len(p.logs)-50):], lines.Text())
		}
		_ = cmd.Wait()
	}()
	select {
	case p.url = <-ready:
	case <-p.done:
		t.Fatalf("the service ended before it was ready:\n%s", strings.Join(p.logs, "\n"))
	case <-time.After(readyWithin):
		p.kill()
		t.Fatalf("the service was not ready within %s:\n%s", readyWithin, strings.Join(p.logs, "\n"))
	}
	key, err := os.ReadFile(filepath.Join(data, "operator.key"))
	if message == "ready" {
		require.NoError(t, err)
	}
	p.key = strings.TrimSpace(string(key))
	return p
}

// program is the program as a command.
func program(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), "RUN_AS_INTEGRATIONS=1")
	return cmd
}

// tool runs a command of the program to its end.
func tool(t *testing.T, args ...string) (exit int, out string) {
	t.Helper()
	var both bytes.Buffer
	exit = execute(t.Context(), args, &both, &both)
	return exit, both.String()
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop asks the service to end, and returns its exit status.
func (p *process) stop() int {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		p.t.Fatal("the service did not end within a minute")
	}
	return p.cmd.ProcessState.ExitCode()
}

// do makes a request. An error means that there was no answer.
func (p *process) do(method, path, body string) (status int, answer string, err error) {
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	req.Header.Set("Content-Type", "application/json")
	res, err := cmp.Or(p.client, http.DefaultClient).Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	return res.StatusCode, string(data), err
}

// must makes a request that has to be answered with a status.
func (p *process) must(want int, method, path, body string) string {
	p.t.Helper()
	status, answer, err := p.do(method, path, body)
	require.NoError(p.t, err)
	require.Equal(p.t, want, status, answer)
	return answer
}

func crm(name, token string) string {
	return fmt.Sprintf(`{"name": %q, "display_name": "CRM", "base_url": "https://crm.example.com", "auth": {"bearer_token_value": %q}}`, name, token)
}

const all = "/v1/acme/integrations"

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
