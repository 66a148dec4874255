// Package demo shows a newcomer what the service does: it starts two upstreams and a
// service, makes the requests that a user would make, and has a person sign in.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Service is a service that runs.
type Service struct {
	URL    string
	Ended  <-chan error            // receives an error or nil when it ends with its context
	SignIn func(key string) string // returns the URL of a page of its console that signs in with an API key, once
}

// Start starts a service on a data folder.
type Start func(ctx context.Context, dir string) (Service, error)

// Options select what the demo shows.
type Options struct {
	All  bool // shows every step instead of eight
	Exit bool // ends after the last step; otherwise the service keeps running until ctx ends
}

// Run runs every step of the demo, and writes them to out. It returns an error when an
// answer is wrong.
func Run(ctx context.Context, out io.Writer, start Start, o Options) (err error) {
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
	service, err := start(running, dir)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(filepath.Join(dir, "operator.key")) //nolint:gosec // in a temporary folder of the demo
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "A service is running at %s. An agent calls a clinic's scheduler, EHR and MCP server through it.\n", service.URL)
	t := &tour{ctx: running, out: out, all: o.All, exit: o.Exit, base: service.URL, key: strings.TrimSpace(string(key))}
	t.remark(fmt.Sprintf("A scheduling system to integrate with is running at %s; it wants an API key.", upstream.url))
	t.remark(fmt.Sprintf("A hospital is running at %s: an authorization server, a FHIR server and an MCP server.", hospital.url))
	t.visit(upstream, hospital)
	if t.failed == nil {
		t.summarize()
		if !o.Exit {
			t.invite(service.SignIn(t.key))
			go t.awaitPerson()
			select {
			case <-ctx.Done():
			case err := <-service.Ended:
				return err
			}
		}
	}
	stop()
	return errors.Join(t.failed, <-service.Ended)
}

func (t *tour) summarize() {
	_, _ = fmt.Fprintf(t.out, "\nAll %d steps passed.", t.step)
	if !t.all {
		_, _ = fmt.Fprint(t.out, " --all shows all of them.")
	}
	_, _ = fmt.Fprintln(t.out)
}

// invite shows what to paste to use the service.
func (t *tour) invite(console string) {
	_, _ = fmt.Fprintf(t.out, `
Paste this into another terminal. KEY is yours; AGENT_KEY may only call tools, as here:
  export URL=%s KEY=%s
  export AGENT_KEY=%s
  curl -s "$URL/v1/demo/integrations/hospital/endpoints/search_patients/invoke" -H "Authorization: Bearer $AGENT_KEY" \
    -H 'Content-Type: application/json' -d '{"params": {"family": "Lovelace"}}'
Sign in yourself: %s
API as a page:    %s/docs
MCP, for agents:  %s/v1/demo/mcp, with the header Authorization: Bearer $AGENT_KEY
Console:          %s (signs in once)
The service runs until Ctrl-C.
`, t.base, t.key, t.agentKey, t.link, t.base, t.base, console)
}
