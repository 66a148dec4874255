// Package systemd speaks the two protocols that systemd has for services: sockets that it
// opened are inherited (sd_listen_fds), and the state of the service is reported to it
// (sd_notify).
//
// Its promise: without systemd nothing happens, and what systemd passed is not passed on
// to programs that this process starts.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"
)

// States that a service reports.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"

	alive = "WATCHDOG=1"
)

// firstSocket is the number of the first inherited socket.
const firstSocket = 3

// Listener returns the socket that systemd opened for this process, nil: it opened none.
func Listener() (net.Listener, error) {
	pid, count := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		_ = os.Unsetenv(name)
	}
	if pid != strconv.Itoa(os.Getpid()) || count == "" {
		return nil, nil //nolint:nilnil // there is none, which is no error
	}
	if count != "1" {
		return nil, fmt.Errorf("systemd passes %s sockets, want 1: the .socket unit needs one ListenStream", count)
	}
	syscall.CloseOnExec(firstSocket)
	file := os.NewFile(firstSocket, "systemd")
	defer func() { _ = file.Close() }() // the listener has its own
	l, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("the socket of systemd: %w", err)
	}
	return l, nil
}

// Notifier reports the state of this process. The zero value reports nothing.
type Notifier struct {
	socket string
	every  time.Duration // between reports to the watchdog; 0: it has none
}

// NewNotifier returns a notifier by what systemd set in the environment.
func NewNotifier() Notifier {
	n := Notifier{socket: os.Getenv("NOTIFY_SOCKET")}
	pid, limit := os.Getenv("WATCHDOG_PID"), os.Getenv("WATCHDOG_USEC")
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"} {
		_ = os.Unsetenv(name)
	}
	if us, err := strconv.ParseInt(limit, 10, 64); err == nil && us > 0 && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		n.every = time.Duration(us) * time.Microsecond / 3
	}
	return n
}

// Notify reports a state.
func (n Notifier) Notify(ctx context.Context, state string) error {
	if n.socket == "" {
		return nil
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unixgram", n.socket) // a name that begins with @ is abstract
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	if _, err = conn.Write([]byte(state)); err != nil {
		err = fmt.Errorf("notify systemd: %w", err)
	}
	return errors.Join(err, conn.Close())
}

// Watch calls check three times in the limit of the watchdog, and reports that the process
// is alive each time that it returns. When check hangs, nothing is reported, and systemd
// ends the process. Watch returns when ctx is done; without a watchdog at once.
func (n Notifier) Watch(ctx context.Context, check func(), failed func(error)) {
	if n.socket == "" || n.every == 0 {
		return
	}
	ticker := time.NewTicker(n.every)
	defer ticker.Stop()
	for {
		check()
		if err := n.Notify(ctx, alive); err != nil && ctx.Err() == nil {
			failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
