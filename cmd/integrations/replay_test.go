package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// replayedEvent is what replay writes of an event.
type replayedEvent struct {
	ID, Type, Source, Sequence, Actor string
	Data                              struct {
		Integration struct{ Name string }
		Probe       struct{ Status string }
	}
}

// replay runs replay, and returns its exit status, the events, and its stderr
// on the side.
func replay(t *testing.T, data string, args ...string) (exit int, events []replayedEvent, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	exit = execute(t.Context(), append([]string{"replay", "--data", data}, args...), &out, &errs)
	for line := range strings.Lines(out.String()) {
		var e replayedEvent
		require.NoError(t, json.Unmarshal([]byte(line), &e), line)
		events = append(events, e)
	}
	return exit, events, errs.String()
}

func names(events []replayedEvent) (names []string) {
	for _, e := range events {
		names = append(names, e.Data.Integration.Name)
	}
	return names
}

func TestReplayWritesWhatHappenedWhetherOrNotTheServiceRuns(t *testing.T) {
	data := t.TempDir()
	p := startProcess(t, data)
	p.must(http.StatusCreated, http.MethodPost, all, crm("crm", "t"))
	p.must(http.StatusCreated, http.MethodPost, "/v1/globex/integrations", crm("ehr", "t"))
	p.must(http.StatusOK, http.MethodPut, all+"/crm", `{"enabled": false}`)
	p.must(http.StatusOK, http.MethodPost, all+"/crm/test-connection", "")

	exit, whole, stderr := replay(t, data)
	require.Zero(t, exit, stderr)
	require.Equal(t, []string{"crm", "ehr", "crm"}, names(whole))
	require.Equal(t, "integration.updated.v1", whole[2].Type)
	require.Equal(t, "/v1/acme/integrations", whole[2].Source)
	require.NotEmpty(t, whole[2].Actor)
	exit, rest, stderr := replay(t, data, "--after", whole[0].Sequence)
	require.Zero(t, exit, stderr)
	require.Equal(t, whole[1:], rest, "the last sequence is where to go on")
	_, some, _ := replay(t, data, "--workspace", "globex")
	require.Equal(t, whole[1:2], some)
	_, some, _ = replay(t, data, "--workspace", "acme", "--integration", "crm")
	require.Equal(t, []string{"crm", "crm"}, names(some))
	_, some, _ = replay(t, data, "--from", time.Now().Add(-time.Hour).Format(time.RFC3339))
	require.Equal(t, whole, some)
	_, some, _ = replay(t, data, "--from", time.Now().Add(time.Hour).Format(time.RFC3339))
	require.Empty(t, some)
	_, probes, _ := replay(t, data, "--probes", "--workspace", "acme")
	require.Len(t, probes, 1)
	require.NotEmpty(t, probes[0].Data.Probe.Status)

	_, calls, _ := replay(t, data, "--calls")
	require.Empty(t, calls)
	p.must(http.StatusOK, http.MethodPost, "/v1/acme/integrations/test-connection", `{"id": "crm"}`)
	_, calls, _ = replay(t, data, "--calls", "--workspace", "acme", "--integration", "crm")
	require.Len(t, calls, 1)
	require.Equal(t, "integration.invoked.v3", calls[0].Type)
	exit, _, _ = replay(t, data, "--calls", "--probes")
	require.NotZero(t, exit)

	require.Zero(t, p.stop())
	exit, stopped, stderr := replay(t, data)
	require.Zero(t, exit, stderr)
	require.Equal(t, whole, stopped)
	exit, _, stderr = replay(t, data, "--integration", "crm")
	require.NotZero(t, exit)
	require.Contains(t, stderr, "takes an id")
	exit, _, stderr = replay(t, data, "--after", "4")
	require.NotZero(t, exit)
	require.Contains(t, stderr, "ends at position 3")
	exit, _, stderr = replay(t, data, "--follow", "--from", time.Now().Add(time.Hour).Format(time.RFC3339))
	require.NotZero(t, exit)
	require.Contains(t, stderr, "must be in the past")
}

// full is where nothing can be written to.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

func TestReplayFailsWhenItCannotWrite(t *testing.T) {
	data := t.TempDir()
	p := startProcess(t, data)
	p.must(http.StatusCreated, http.MethodPost, all, crm("crm", "t"))
	var errs bytes.Buffer
	require.Equal(t, 1, execute(t.Context(), []string{"replay", "--data", data}, full{}, &errs))
	require.Contains(t, errs.String(), "the disk is full")
}

// follow starts replay as a program that follows, and returns once it has
// written an event.
func follow(t *testing.T, data string) (cmd *exec.Cmd, out io.Closer, stderr *bytes.Buffer) {
	t.Helper()
	cmd, stderr = program(t.Context(), "replay", "--data", data, "--follow"), &bytes.Buffer{}
	cmd.Stderr = stderr
	pipe, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(pipe).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, `"crm"`)
	return cmd, pipe, stderr
}

func TestReplaySaysWhereToGoOnWhenItIsInterruptedOrNobodyReads(t *testing.T) {
	data := t.TempDir()
	p := startProcess(t, data)
	p.must(http.StatusCreated, http.MethodPost, all, crm("crm", "t"))

	cmd, _, stderr := follow(t, data)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.NoError(t, cmd.Wait(), "it followed until it was interrupted")
	require.Contains(t, stderr.String(), "continue with --after 1\n")

	cmd, out, stderr := follow(t, data)
	require.NoError(t, out.Close())
	p.must(http.StatusCreated, http.MethodPost, all, crm("ehr", "t"))
	require.Error(t, cmd.Wait())
	require.Equal(t, 1, cmd.ProcessState.ExitCode(), "it was not ended by a signal")
	require.Contains(t, stderr.String(), "continue with --after 1\n")
}

// The service is started again while somebody follows: it listens elsewhere then, with
// another password.
func TestReplayFollowsOverARestart(t *testing.T) {
	data := t.TempDir()
	p := startProcess(t, data, "--probe-interval=0s")
	p.must(http.StatusCreated, http.MethodPost, all, crm("crm", "t"))
	cmd := program(t.Context(), "replay", "--data", data, "--follow")
	pipe, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewReader(pipe)
	for n, name := range []string{"crm", "second", "third"} {
		if n > 0 {
			p.kill()
			p = startProcess(t, data, "--probe-interval=0s")
			p.must(http.StatusCreated, http.MethodPost, all, crm(name, "t"))
		}
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, line, `"`+name+`"`)
	}
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.NoError(t, cmd.Wait())
}
