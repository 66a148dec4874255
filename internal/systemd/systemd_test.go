package systemd

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// manager is what a notifier reports to.
func manager(t *testing.T) *net.UnixConn {
	t.Helper()
	dir, err := os.MkdirTemp("", "n") //nolint:usetesting // the name of a socket has 108 bytes at most
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return conn
}

func next(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	text := make([]byte, 100)
	n, err := conn.Read(text)
	require.NoError(t, err)
	return string(text[:n])
}

func TestTheStateIsReported(t *testing.T) {
	m := manager(t)
	n := NewNotifier()
	require.Empty(t, os.Getenv("NOTIFY_SOCKET"), "programs that are started don't report")
	require.NoError(t, n.Notify(t.Context(), Ready))
	require.Equal(t, "READY=1", next(t, m))
	n.Watch(t.Context(), func() { t.Error("there is no watchdog") }, nil)
	require.NoError(t, NewNotifier().Notify(t.Context(), Ready), "without systemd nothing happens")
}

func TestTheWatchdogHearsOfAProcessWhoseCheckReturns(t *testing.T) {
	m := manager(t)
	t.Setenv("WATCHDOG_USEC", "3000") // every millisecond
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	ctx, cancel := context.WithCancel(t.Context())
	checks, hangs, ended := make(chan bool), make(chan bool), make(chan bool)
	go func() {
		defer close(ended)
		NewNotifier().Watch(ctx, func() { checks <- true; <-hangs }, func(err error) { t.Error(err) })
	}()
	for range 3 {
		<-checks
		require.NoError(t, m.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
		_, err := m.Read(make([]byte, 100))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded, "it reported while the check hangs")
		require.NoError(t, m.SetReadDeadline(time.Time{}))
		hangs <- true
		require.Equal(t, "WATCHDOG=1", next(t, m))
	}
	<-checks
	cancel()
	hangs <- true
	<-ended
}

func TestAWatchdogOfAnotherProcessIsNotReportedTo(t *testing.T) {
	manager(t)
	t.Setenv("WATCHDOG_USEC", "3000")
	t.Setenv("WATCHDOG_PID", "1")
	NewNotifier().Watch(t.Context(), func() { t.Error("checked") }, nil)
}

// This process is started with a socket, as systemd does.
func TestASocketIsInherited(t *testing.T) {
	if os.Getenv("INHERITS") != "" {
		t.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()+len(os.Getenv("OTHER_PID"))))
		l, err := Listener()
		fmt.Println("listener:", l != nil, "error:", err, "left:", os.Getenv("LISTEN_FDS"))
		if l != nil {
			conn, err := l.Accept()
			require.NoError(t, err)
			_, err = io.WriteString(conn, "accepted")
			require.NoError(t, err)
			require.NoError(t, conn.Close())
		}
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	file, err := l.(*net.TCPListener).File()
	require.NoError(t, err)
	start := func(env ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestASocketIsInherited$", "-test.v")
		cmd.Env = append(append(os.Environ(), "INHERITS=1"), env...)
		cmd.ExtraFiles = []*os.File{file} // is number 3
		return cmd
	}
	out, err := start("LISTEN_FDS=2").CombinedOutput()
	require.NoError(t, err)
	require.Contains(t, string(out), "listener: false error: systemd passes 2 sockets")
	for _, none := range []string{"OTHER_PID=1", "LISTEN_FDS="} {
		out, err = start("LISTEN_FDS=1", none).CombinedOutput()
		require.NoError(t, err)
		require.Contains(t, string(out), "listener: false error: <nil> left: \n")
	}
	conn, err := net.Dial("tcp", l.Addr().String()) // waits in the queue until the process is there
	require.NoError(t, err)
	out, err = start("LISTEN_FDS=1").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "listener: true error: <nil> left: \n")
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "accepted", string(answer))
}
