// Package demo shows a newcomer what the service does: it starts two upstreams and a
// service, and makes the requests that a user would make.
package demo

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Start starts a service on a data folder. It returns the URL of the service, and a
// channel that receives an error or nil when the service ends with ctx.
type Start func(ctx context.Context, dir string) (url string, ended <-chan error, err error)

// Run runs the demo and writes each step to out. It returns an error when an answer is
// wrong. Unless exit is set, the service keeps running until ctx ends.
func Run(ctx context.Context, out io.Writer, start Start, exit bool) (err error) {
	dir, err := os.MkdirTemp("", "integrations-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	running, stop := context.WithCancel(ctx)
	defer stop()

	upstream, err := startScheduler(running)
	if err != nil {
		return err
	}
	defer upstream.close()
	hospital, err := startHospital(running)
	if err != nil {
		return err
	}
	defer hospital.close()
	url, ended, err := start(running, dir)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(filepath.Join(dir, "operator.key")) //nolint:gosec // in a temporary folder of the demo
	if err != nil {
		return err
	}
	t := &tour{ctx: running, out: out, base: url, key: strings.TrimSpace(string(key))}
	t.print("A service is running at %s, with everything embedded, in %s.", url, dir)
	t.print("A scheduling system to integrate with is running at %s; it wants an API key.", upstream.url)
	t.print("A hospital is running at %s: an authorization server, a FHIR server and an MCP server.", hospital.url)
	t.visit(upstream, hospital)
	if t.failed == nil && !exit {
		t.print("The service runs until Ctrl-C. Try it:\n\n  curl -s -H 'Authorization: Bearer %s' %s/v1/demo/integrations\n", t.key, url)
		select {
		case <-ctx.Done():
		case err := <-ended:
			return err
		}
	}
	stop()
	return errors.Join(t.failed, <-ended)
}
