package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var pastedLines = regexp.MustCompile(`(?m)^  (export |curl |  -H )`)

// runDemo runs the demo until it waits for Ctrl-C, and returns what it has written. It
// keeps running until the test ends.
func runDemo(t *testing.T) (lines []string) {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	out, to := io.Pipe()
	exit := make(chan int, 1)
	go func() {
		exit <- execute(ctx, []string{"demo"}, to, to)
		_ = to.Close()
	}()
	t.Cleanup(func() {
		interrupt()
		_, _ = io.Copy(io.Discard, out)
		require.Zero(t, <-exit)
	})
	for in := bufio.NewScanner(out); in.Scan(); {
		lines = append(lines, in.Text())
		if strings.Contains(in.Text(), "Ctrl-C") {
			break
		}
	}
	return lines
}

func TestTheDemoIsShortAndItsPastedLinesWork(t *testing.T) {
	lines := runDemo(t)
	out := strings.Join(lines, "\n")
	require.Contains(t, out, "until Ctrl-C", out)
	require.LessOrEqual(t, len(lines), 60, out)
	require.Equal(t, 8, strings.Count(out, "\n── "), out)
	require.Contains(t, out, "── 1. An AI agent ")
	require.Contains(t, out, "All 30 steps passed.")

	var script []string
	for _, line := range lines {
		if pastedLines.MatchString(line) {
			script = append(script, line)
		}
	}
	for _, needed := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(needed); err != nil {
			t.Skipf("NOT TESTED: there is no %s here", needed)
		}
	}
	answer, err := exec.CommandContext(t.Context(), "bash", "-euc", strings.Join(script, "\n")).Output()
	require.NoError(t, err)
	require.Contains(t, string(answer), "1 found: Ada Lovelace")

	page := regexp.MustCompile(`http://\S+/docs`).FindString(out)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page, http.NoBody)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
}

func TestTheDemoShowsAllStepsOnRequest(t *testing.T) {
	exit, out := tool(t, "demo", "--all", "--exit")
	require.Zero(t, exit, out)
	require.Equal(t, 30, strings.Count(out, "\n── "))
	require.Contains(t, out, "All 30 steps passed.\n")
}
