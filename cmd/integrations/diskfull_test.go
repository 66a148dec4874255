package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/natstest"
)

// smallDisk is a file system of 64 MiB at a folder of the test, which can be
// filled. It goes away with the test.
type smallDisk struct {
	t   *testing.T
	dir string
}

// newSmallDisk mounts one. The test is skipped where that can't be
// done: it takes Linux and root.
func newSmallDisk(t *testing.T) *smallDisk {
	t.Helper()
	d := &smallDisk{t: t, dir: t.TempDir()}
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs", d.dir).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: no small disk can be mounted on this machine: %v %s. It takes Linux and root.", err, out)
	}
	t.Cleanup(func() {
		out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "umount", d.dir).CombinedOutput()
		assert.NoError(t, err, string(out))
	})
	return d
}

// fill takes every byte that is left.
func (d *smallDisk) fill() {
	d.t.Helper()
	ballast, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(d.t, err)
	defer ballast.Close() //nolint:errcheck // it is ballast
	for size := 1 << 20; size > 0; {
		if _, err := ballast.Write(bytes.Repeat([]byte{1}, size)); err != nil {
			require.ErrorIs(d.t, err, syscall.ENOSPC)
			size /= 2
		}
	}
}

func (d *smallDisk) free() {
	d.t.Helper()
	if err := os.Remove(d.ballast()); !errors.Is(err, os.ErrNotExist) {
		require.NoError(d.t, err)
	}
}

func (d *smallDisk) ballast() string { return filepath.Join(d.dir, "ballast") }

// What was acknowledged before the disk was full is there, what was not is wholly
// there or not at all, and once there is room again nobody has to do anything.
func TestChangesThatMeetAFullDiskAreMadeOrNot(t *testing.T) {
	disk := newSmallDisk(t)
	c := newChaos(t, filepath.Join(disk.dir, "data"))
	for round := range 2 {
		c.turnTo(round)
		stop := c.load()
		c.progress(20)
		disk.fill()
		c.p.becomes(http.StatusServiceUnavailable)
		disk.fill() // what the service let go of when it noticed
		refused := c.history.Counts().Refused
		require.Eventually(t, func() bool { return c.history.Counts().Refused > refused+100 }, time.Minute, 10*time.Millisecond)
		disk.free()
		c.faults++
		c.progress(20)
		stop()
		c.check()
		c.checkOrder()
		c.p.becomes(http.StatusOK)
	}
	n := c.history.Counts()
	t.Logf("%d writes and %d reads acknowledged, %d refused, %d unknown, %d of these made, %d lost", n.Writes, n.Reads, n.Refused, n.Unknown, c.verdict.Late, c.verdict.Lost)
}

// A read returns what exists, or that it is unavailable.
func TestWhileTheDiskIsFullNothingIsShownThatIsNotSo(t *testing.T) {
	slow(t)
	disk := newSmallDisk(t)
	p := startProcess(t, filepath.Join(disk.dir, "data"), "--probe-interval=0s")
	p.must(http.StatusCreated, http.MethodPost, all, crm("steady", "t"))
	disk.fill()
	made := p.createUntilRefused(func() { p.shows("steady", "CRM") })
	p.becomes(http.StatusServiceUnavailable)
	disk.fill() // what the service let go of when it noticed
	for range 100 {
		p.shows("steady", "CRM")
		p.refuses(http.MethodPost, all, crm("never", "t"))
		p.refuses(http.MethodPut, all+"/steady", `{"display_name": "never made"}`)
		p.refuses(http.MethodDelete, all+"/steady", "")
	}
	require.Contains(t, p.must(http.StatusServiceUnavailable, http.MethodGet, "/readyz", ""), "event_log_unavailable")
	disk.free()
	p.becomes(http.StatusOK)
	for _, name := range append(made, "steady") {
		require.Eventually(t, func() bool { // the projector comes back within its longest pause
			status, _, err := p.do(http.MethodGet, all+"/"+name, "")
			return err == nil && status == http.StatusOK
		}, time.Minute, 10*time.Millisecond, name)
	}
	p.must(http.StatusNotFound, http.MethodGet, all+"/never", "")
	p.must(http.StatusOK, http.MethodPut, all+"/steady", `{"display_name": "CRM 2", "auth": {"bearer_token_value": "t2"}}`)
	p.shows("steady", "CRM 2")
	exit, out := tool(t, "verify", "--data", p.data)
	require.Zero(t, exit, out)
	require.Zero(t, p.stop())
}

// The operator frees space and restarts a NATS server that is not ours.
func TestAFullDiskOfAnotherNATSServerIsA503UntilThatIsRestarted(t *testing.T) {
	slow(t)
	disk := newSmallDisk(t)
	server := natstest.Spawn(t, disk.dir, true)
	p := startProcess(t, t.TempDir(), "--probe-interval=0s", "--nats-url="+server.URL, "--nats-monitor-url="+server.Monitor)
	p.must(http.StatusCreated, http.MethodPost, all, crm("steady", "t"))
	disk.fill()
	p.becomes(http.StatusServiceUnavailable)
	made := p.createUntilRefused(func() { p.must(http.StatusOK, http.MethodGet, all+"/steady", "") })
	disk.free()
	server.Kill()
	server.Start()
	p.becomes(http.StatusOK)
	for _, name := range append(made, "steady") {
		p.must(http.StatusOK, http.MethodPut, all+"/"+name, `{"display_name": "CRM 2"}`)
	}
	exit, out := tool(t, "verify", "--data", p.data, "--nats-url="+server.URL)
	require.Zero(t, exit, out)
}

// createUntilRefused creates integrations while there is room in what files have
// of the disk already, calls look after each, and returns the names of those that
// were acknowledged.
func (p *process) createUntilRefused(look func()) (made []string) {
	p.t.Helper()
	for n := range 1000 {
		name := fmt.Sprint("late-", n)
		status, answer, err := p.do(http.MethodPost, all, crm(name, "t"))
		require.NoError(p.t, err)
		look()
		if status == http.StatusServiceUnavailable {
			return made
		}
		require.Equal(p.t, http.StatusCreated, status, answer)
		made = append(made, name)
	}
	require.Fail(p.t, "changes are still made")
	return nil
}

// becomes waits until the service is ready, or is not.
func (p *process) becomes(ready int) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		status, _, err := p.do(http.MethodGet, "/readyz", "")
		return err == nil && status == ready
	}, time.Minute, 10*time.Millisecond, "/readyz answers %d", ready)
}

// shows requires that an integration is shown as it is or not at all, by the read
// model and by the log.
func (p *process) shows(name, displayName string) {
	p.t.Helper()
	for _, read := range []struct{ method, path, body string }{
		{http.MethodGet, "", ""}, {http.MethodPut, "?dry_run=true", "{}"}, {http.MethodGet, "/history", ""},
	} {
		status, answer, err := p.do(read.method, all+"/"+name+read.path, read.body)
		require.NoError(p.t, err)
		if status != http.StatusServiceUnavailable {
			require.Equal(p.t, http.StatusOK, status, answer)
			require.Contains(p.t, answer, fmt.Sprintf("%q", displayName))
			require.NotContains(p.t, answer, "never made")
		}
	}
}

// refuses requires that a change is answered as one that can't be made now.
func (p *process) refuses(method, path, body string) {
	p.t.Helper()
	require.Contains(p.t, p.must(http.StatusServiceUnavailable, method, path, body), `"event_log_unavailable"`)
}
