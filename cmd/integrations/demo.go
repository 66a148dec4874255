package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// demoCommand shows a newcomer what the service does: it starts one, with real
// upstreams beside it, and does over HTTP what a user would do.
type demoCommand struct {
	Exit bool `help:"End after the steps instead of leaving the service running."`
}

func (c demoCommand) Run(s streams) (err error) {
	dir, err := os.MkdirTemp("", "integrations-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, stop := context.WithCancel(s.ctx)
	defer stop()

	upstream, err := startScheduler(ctx)
	if err != nil {
		return err
	}
	defer upstream.close()
	hospital, err := startHospital(ctx)
	if err != nil {
		return err
	}
	defer hospital.close()
	url, ended, err := startService(ctx, dir)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(filepath.Join(dir, "operator.key")) //nolint:gosec // our own folder
	if err != nil {
		return err
	}
	tour := &tour{ctx: ctx, out: s.out, base: url, key: strings.TrimSpace(string(key))}
	tour.say("A service is running at %s, with everything embedded, in %s.", url, dir)
	tour.say("A scheduling system to integrate with is running at %s; it wants an API key.", upstream.url)
	tour.say("A hospital is running at %s: an authorization server, a FHIR server and an MCP server.", hospital.url)
	tour.visit(upstream, hospital)
	if tour.failed == nil && !c.Exit {
		tour.say("The service goes on until Ctrl-C. Try it:\n\n  curl -s -H 'Authorization: Bearer %s' %s/v1/demo/integrations\n", tour.key, url)
		select {
		case <-s.ctx.Done():
		case err := <-ended:
			return err
		}
	}
	stop()
	return errors.Join(tour.failed, <-ended)
}

// startService starts a service of its own on dir and a free port, and returns
// its URL and a channel that says when and how it ended.
func startService(ctx context.Context, dir string) (url string, ended <-chan error, err error) {
	var line commandLine
	parser, err := kong.New(&line, kong.DefaultEnvars("INTEGRATIONS_DEMO"))
	if err != nil {
		return "", nil, err
	}
	if _, err := parser.Parse([]string{"serve", "--listen=127.0.0.1:0", "--data=" + dir, "--egress-allow-loopback"}); err != nil {
		return "", nil, err
	}
	ready, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- serve(ctx, line.Serve, slog.New(slog.DiscardHandler), func(url string) { ready <- url })
	}()
	select {
	case url := <-ready:
		return url, done, nil
	case err := <-done:
		return "", nil, fmt.Errorf("start the service: %w", err)
	case <-time.After(time.Minute):
		return "", nil, errors.New("start the service: not ready within a minute")
	}
}
