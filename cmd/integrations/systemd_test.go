package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fromSystemd starts the service as systemd does: with a socket, and with another to report
// its state to.
func fromSystemd(t *testing.T, socket *net.TCPListener, listen string, env ...string) *exec.Cmd {
	t.Helper()
	file, err := socket.File()
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	inner := program(t.Context(), "serve", "--listen="+listen, "--data="+t.TempDir())
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`}, inner.Args...)...)
	cmd.Env, cmd.ExtraFiles = append(append(inner.Env, "LISTEN_FDS=1"), env...), []*os.File{file}
	return cmd
}

func TestSystemdPassesTheSocketAndIsNotifiedOfTheState(t *testing.T) {
	slow(t)
	dir, err := os.MkdirTemp("", "n") //nolint:usetesting // the name of a socket has 108 bytes at most
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	states, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = states.Close() })
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = socket.Close() })
	address := socket.Addr().String()

	cmd := fromSystemd(t, socket.(*net.TCPListener), address, "NOTIFY_SOCKET="+filepath.Join(dir, "notify"), "WATCHDOG_USEC=300000")
	logs, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	go func() { _, _ = io.Copy(io.Discard, logs) }()
	var seen []string
	until := func(state string) {
		require.NoError(t, states.SetReadDeadline(time.Now().Add(time.Minute)))
		for len(seen) == 0 || seen[len(seen)-1] != state {
			text := make([]byte, 100)
			n, err := states.Read(text)
			require.NoError(t, err, seen)
			seen = append(seen, string(text[:n]))
		}
	}
	res, err := http.Get("http://" + address + "/readyz") // waits in the queue of the socket
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	until("READY=1")
	until("WATCHDOG=1")
	res, err = http.Get("http://" + address + "/readyz")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	until("STOPPING=1")
	require.NoError(t, cmd.Wait())
	require.Equal(t, []string{"READY=1"}, slices.DeleteFunc(seen, func(s string) bool { return s != "READY=1" }))
}

func TestASocketOfSystemdOnAnotherAddressIsRefused(t *testing.T) {
	slow(t)
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = socket.Close() })
	out, err := fromSystemd(t, socket.(*net.TCPListener), "127.0.0.1:1").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "the socket of systemd listens on "+socket.Addr().String())
}

// Systemd's own check knows every option of the units, where it is installed.
func TestTheUnitsAreValidAndNameOneAddress(t *testing.T) {
	dir, units := t.TempDir(), map[string]string{}
	for _, name := range []string{"integrations.service", "integrations.socket"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "systemd", name))
		require.NoError(t, err)
		units[name] = string(text)
		local := strings.ReplaceAll(string(text), "/usr/local/bin/integrations", os.Args[0])
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(local), 0o600))
	}
	address := regexp.MustCompile(`(?m)^ListenStream=(.*)$`).FindStringSubmatch(units["integrations.socket"])
	require.Len(t, address, 2)
	require.Contains(t, units["integrations.service"], "--listen "+address[1]+" ")
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("NOT TESTED: there is no systemd-analyze here")
	}
	cmd := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", "--recursive-errors=no", filepath.Join(dir, "integrations.service"), filepath.Join(dir, "integrations.socket"))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Empty(t, string(out))
}
