package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// smallDisk is a file system of 64 MiB at a folder of the test, which can be
// filled. It goes away with the test.
type smallDisk struct {
	t   *testing.T
	dir string
}

// newSmallDisk mounts one. The test is skipped, and says so, where that can't be
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
func TestAFullDiskIsA503ThatHealsWhenThereIsRoom(t *testing.T) {
	disk := newSmallDisk(t)
	c := newChaos(t, filepath.Join(disk.dir, "data"))
	c.p.must(http.StatusCreated, http.MethodPost, all, crm("steady", "t"))
	for range 2 {
		stop := c.load()
		c.progress(20)
		disk.fill()
		require.Eventually(t, func() bool { return c.steady("/readyz") == http.StatusServiceUnavailable }, time.Minute, 10*time.Millisecond)
		disk.fill() // what the service let go of when it noticed
		refused := c.history.Counts().Refused
		require.Eventually(t, func() bool { return c.steady("/readyz") != http.StatusOK && c.history.Counts().Refused > refused+1000 }, time.Minute, 10*time.Millisecond)
		c.refuses(http.MethodPost, all, crm("late", "t"))
		c.refuses(http.MethodPut, all+"/steady", `{"display_name": "never made"}`)
		disk.free()
		c.faults++
		c.progress(20)
		require.Eventually(t, func() bool { return c.steady("/readyz") == http.StatusOK }, 20*time.Second, 10*time.Millisecond)
		stop()
		c.check()
		c.p.must(http.StatusNotFound, http.MethodGet, all+"/late", "")
	}
	c.checkOrder()
	t.Logf("%+v", c.history.Counts())
	require.Zero(t, c.p.stop())
}

// steady returns the status at a path, and requires that an integration that was
// created before is shown as it is or not at all, by the read model and by the log.
func (c *chaosRun) steady(path string) int {
	c.t.Helper()
	for _, read := range []struct{ method, path, body string }{
		{http.MethodGet, all + "/steady", ""}, {http.MethodPut, all + "/steady?dry_run=true", "{}"}, {http.MethodGet, all + "/steady/history", ""},
	} {
		status, answer, err := c.p.do(read.method, read.path, read.body)
		require.NoError(c.t, err)
		require.Contains(c.t, []int{http.StatusOK, http.StatusServiceUnavailable}, status, answer)
		require.NotContains(c.t, answer, "never made")
	}
	status, _, err := c.p.do(http.MethodGet, path, "")
	require.NoError(c.t, err)
	return status
}

// refuses requires that a change is answered as one that can't be made now.
func (c *chaosRun) refuses(method, path, body string) {
	c.t.Helper()
	var problem struct{ Code string }
	answer := c.p.must(http.StatusServiceUnavailable, method, path, body)
	require.NoError(c.t, json.Unmarshal([]byte(answer), &problem))
	require.Equal(c.t, "event_log_unavailable", problem.Code, answer)
}
