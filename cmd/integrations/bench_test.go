package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/bench"
)

func TestABenchShowsEachFigureBesideItsLimit(t *testing.T) {
	slow(t)
	t.Setenv("RUN_AS_INTEGRATIONS", "1")                        // the processes that it starts are this one
	t.Setenv("INTEGRATIONS_NATS_URL", "nats://127.0.0.1:1/log") // must not be where it writes
	scratch := t.TempDir()
	t.Setenv("TMPDIR", scratch)
	drawn := filepath.Join(t.TempDir(), "bench.svg")

	var out, progress bytes.Buffer
	exit := execute(t.Context(), []string{
		"bench", "--rows=get,creates,append/32,list/name,list/growth,search/large,rebuild,replay,live/1", "--seconds=0.1", "--size=50", "--json", "--plot=" + drawn,
	}, &out, &progress)
	require.Zero(t, exit, progress.String())

	var report bench.Report
	require.NoError(t, json.Unmarshal(out.Bytes(), &report))
	var rows []string
	for _, r := range report.Rows {
		rows = append(rows, r.Row)
		require.Positive(t, r.Figure.Median, r.Row)
		require.Positive(t, r.Limit.Median, r.Row)
		require.Positive(t, r.Ratio, r.Row)
		require.LessOrEqual(t, r.Figure.Least, r.Figure.Median, r.Row)
		require.GreaterOrEqual(t, r.Figure.Most, r.Figure.Median, r.Row)
		require.Equal(t, r.Goal != "", r.Met != nil, r.Row)
	}
	require.Equal(t, []string{"creates/latency", "creates/1", "creates/8", "creates/64", "creates/128", "append/32", "get", "list/name", "search/large", "list/growth", "rebuild", "rebuild/insert", "replay", "live/1"}, rows)

	var table strings.Builder
	require.NoError(t, report.WriteTable(&table))
	picture, err := os.Open(drawn)
	require.NoError(t, err)
	defer func() { _ = picture.Close() }()
	var shown strings.Builder
	for decoder := xml.NewDecoder(picture); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if text, ok := token.(xml.CharData); ok {
			shown.Write(text)
		}
	}
	for _, r := range report.Rows {
		require.Contains(t, table.String(), r.Row)
		if r.Met != nil {
			require.Contains(t, shown.String(), r.Row)
			require.Contains(t, shown.String(), r.Goal)
		}
	}
	requireEmpty(t, scratch)
}

// endsOn is a stream that ends a program at a certain text.
type endsOn struct {
	text    string
	end     context.CancelFunc
	written strings.Builder
}

func (e *endsOn) Write(p []byte) (int, error) {
	if strings.Contains(string(p), e.text) {
		e.end()
	}
	return e.written.Write(p)
}

func TestABenchThatIsInterruptedLeavesNothing(t *testing.T) {
	slow(t)
	t.Setenv("RUN_AS_INTEGRATIONS", "1")
	scratch := t.TempDir()
	t.Setenv("TMPDIR", scratch)
	ctx, end := context.WithCancel(t.Context())
	defer end()
	progress := &endsOn{text: "creates/1: ", end: end}
	var out bytes.Buffer
	exit := execute(ctx, []string{"bench", "--rows=creates", "--seconds=0.1"}, &out, progress)
	require.Equal(t, 1, exit)
	require.Contains(t, progress.written.String(), context.Canceled.Error())
	require.Contains(t, out.String(), "creates/latency", "what was measured before is shown")
	requireEmpty(t, scratch)
}

func TestABenchIsAskedForRightly(t *testing.T) {
	exit, out := tool(t, "bench", "--rows=creates,deletes", "--size=0", "--seconds=0", "--repetitions=2")
	require.Equal(t, 1, exit)
	for _, wrong := range []string{`no row "deletes"`, "the size", "more than nothing", "at least 3 repetitions"} {
		require.Contains(t, out, wrong)
	}
}

func requireEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}
