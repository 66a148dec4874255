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

	"github.com/seed677028b5/integrations/cmd/integrations/demo"
)

var pastedLines = regexp.MustCompile(`(?m)^  (export |curl |  -H )`)

// runDemo runs the demo until it waits for Ctrl-C, and returns what it has written. It
// keeps running until the test ends; next returns the next line that it writes.
func runDemo(t *testing.T) (lines []string, next func() string) {
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
	in := bufio.NewScanner(out)
	next = func() string {
		require.True(t, in.Scan(), "the demo has ended")
		return in.Text()
	}
	for len(lines) == 0 || !strings.Contains(lines[len(lines)-1], "Ctrl-C") {
		lines = append(lines, next())
	}
	return lines, next
}

func TestTheDemoIsShortAndItsPastedLinesWork(t *testing.T) {
	lines, next := runDemo(t)
	out := strings.Join(lines, "\n")
	require.Contains(t, out, "until Ctrl-C", out)
	require.LessOrEqual(t, len(lines), 60, out)
	require.Equal(t, 9, strings.Count(out, "\n── "), out)
	require.Contains(t, out, "── 1. An AI agent ")
	require.Contains(t, out, "All 31 steps passed.")

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

	link := regexp.MustCompile(`http://\S+/oauth/authorize/\S+`).FindAllString(out, -1)
	require.NotEmpty(t, link, out)
	title, err := demo.ClickThrough(t.Context(), link[len(link)-1])
	require.NoError(t, err)
	require.Equal(t, "Signed in", title)
	for !strings.Contains(next(), "The agent calls records__my_next_visit: Ada visits on 2026-12-01 at 09:00.") { // until the test's time is over
	}

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
	require.Equal(t, 31, strings.Count(out, "\n── "))
	require.Contains(t, out, "All 31 steps passed.\n")
}
