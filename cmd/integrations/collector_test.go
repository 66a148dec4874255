package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/peers"
)

// collector is an OpenTelemetry collector in a process of its own, which prints what it gets.
type collector struct {
	url string
	got output
	end func()
}

func startCollector(t *testing.T) *collector {
	t.Helper()
	const config = `{receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:0"}}}}, exporters: {debug: {verbosity: detailed, use_internal_logger: false}},
		service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}}`
	cmd := exec.Command(peers.Build(t, "collector"), "--config=yaml:"+config)
	c := &collector{}
	cmd.Stdout = &c.got
	stdin, err := cmd.StdinPipe() // it ends with its standard input
	require.NoError(t, err)
	logs, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	ready, ended := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(ended)
		endpoint := ""
		for lines := bufio.NewScanner(logs); lines.Scan(); {
			var line struct{ Msg, Endpoint string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Endpoint != "" {
				endpoint = line.Endpoint
			}
			if strings.HasPrefix(line.Msg, "Everything is ready") {
				ready <- endpoint
			}
			_, _ = fmt.Fprintln(t.Output(), lines.Text())
		}
		_ = cmd.Wait()
	}()
	c.end = func() {
		_ = stdin.Close()
		<-ended
	}
	t.Cleanup(c.end)
	select {
	case address := <-ready:
		c.url = "http://" + address
	case <-ended:
		t.Fatal("the collector did not start")
	case <-time.After(time.Minute):
		t.Fatal("the collector was not ready within a minute")
	}
	return c
}

// has reports whether every text arrived, as the name of a span or otherwise.
func (c *collector) has(texts ...string) bool {
	all := c.got.String()
	return !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(all, text) })
}

// collectedSpan is a span as the collector shows it.
type collectedSpan struct {
	Trace, ID, Parent, Name, Kind string
	Start, End                    time.Time
	Resource                      map[string]string // attributes, such as Str(integrations)
}

var (
	spanField     = regexp.MustCompile(`^    (\w[\w ]*?) *: (.*)$`)
	spanAttribute = regexp.MustCompile(`^     -> ([\w.]+): (.*)$`)
)

// spans returns what arrived, in the order in which the spans began.
func (c *collector) spans(t *testing.T) []*collectedSpan {
	t.Helper()
	var spans []*collectedSpan
	var resource map[string]string
	inResource := false
	for line := range strings.Lines(c.got.String()) {
		line = strings.TrimRight(line, "\n")
		field, attribute := spanField.FindStringSubmatch(line), spanAttribute.FindStringSubmatch(line)
		switch {
		case strings.HasPrefix(line, "Resource attributes:"):
			resource, inResource = map[string]string{}, true
		case strings.HasPrefix(line, "ScopeSpans #"):
			inResource = false
		case strings.HasPrefix(line, "Span #"):
			spans = append(spans, &collectedSpan{Resource: resource})
		case attribute != nil && inResource:
			resource[attribute[1]] = attribute[2]
		case field != nil && len(spans) > 0:
			spans[len(spans)-1].set(t, field[1], field[2])
		}
	}
	slices.SortFunc(spans, func(a, b *collectedSpan) int { return a.Start.Compare(b.Start) })
	return spans
}

func (s *collectedSpan) set(t *testing.T, field, value string) {
	t.Helper()
	at := func(value string) time.Time {
		parsed, err := time.Parse("2006-01-02 15:04:05.999999999 -0700 MST", value)
		require.NoError(t, err)
		return parsed
	}
	switch field {
	case "Trace ID":
		s.Trace = value
	case "Parent ID":
		s.Parent = value
	case "ID":
		s.ID = value
	case "Name":
		s.Name = value
	case "Kind":
		s.Kind = value
	case "Start time":
		s.Start = at(value)
	case "End time":
		s.End = at(value)
	}
}

// tree returns the spans of a trace as a tree, a line for each.
func tree(spans []*collectedSpan, parent, indent string) string {
	var lines strings.Builder
	for _, s := range spans {
		if s.Parent != parent {
			continue
		}
		_, _ = fmt.Fprintf(&lines, "%-58s %7.2f ms  %-9s %s\n", indent+s.Name, s.End.Sub(s.Start).Seconds()*1e3, strings.ToLower(s.Kind), s.Resource["integrations.roles"])
		lines.WriteString(tree(spans, s.ID, indent+"  "))
	}
	return lines.String()
}
