package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// child is a process that is ready.
type child struct {
	cmd   *exec.Cmd
	url   string        // from its log
	took  time.Duration // from its start until it was ready
	ended chan struct{}
}

// readyLine is the log line of a child that is ready.
type readyLine struct {
	Msg string `json:"msg"`
	URL string `json:"url"`
}

const (
	readyMsg    = "ready"
	readyWithin = 10 * time.Minute // a large log is read to its end before
	endsWithin  = 20 * time.Second
)

// start starts the program and waits until it is ready. Settings of the service
// in the environment are not for it: nothing here may reach a real log.
func (l *lab) start(ctx context.Context, args ...string) (*child, error) {
	cmd := exec.CommandContext(ctx, l.Program, args...) //nolint:gosec // this program itself
	for _, setting := range os.Environ() {
		if !strings.HasPrefix(setting, "INTEGRATIONS_") {
			cmd.Env = append(cmd.Env, setting)
		}
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = endsWithin
	logs, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	since := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, ended: make(chan struct{})}
	ready := make(chan string, 1)
	var last []string // last
	go func() {
		defer close(c.ended)
		for lines := bufio.NewScanner(logs); lines.Scan(); {
			var line readyLine
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == readyMsg {
				c.took = time.Since(since)
				ready <- line.URL
			}
			last = append(last[max(0, len(last)-20):], lines.Text())
		}
		_ = cmd.Wait()
	}()
	select {
	case c.url = <-ready:
		return c, nil
	case <-c.ended:
		return nil, fmt.Errorf("%s ended before it was ready:\n%s", args[0], strings.Join(last, "\n"))
	case <-time.After(readyWithin):
		c.stop()
		return nil, errors.New("not ready in time")
	}
}

// stop ends the child and waits until it has.
func (c *child) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.ended:
	case <-time.After(endsWithin):
		_ = c.cmd.Process.Kill()
		<-c.ended
	}
}

// resident returns the memory of the child in MB, from /proc.
func (c *child) resident() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of a process, which needs Linux: %w", err)
	}
	_, after, _ := strings.Cut(string(text), "\nVmRSS:")
	words := strings.Fields(after)
	if len(words) == 0 {
		return 0, errors.New("the memory of a process is unknown")
	}
	kilobytes, err := strconv.ParseFloat(words[0], 64)
	return kilobytes / 1024, err
}
