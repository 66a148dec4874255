package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/seed677028b5/integrations/internal/flagvalues"
	"github.com/seed677028b5/integrations/internal/simulation"
)

// simulateCommand runs the service in virtual time on a model of NATS that fails.
type simulateCommand struct {
	Seed  flagvalues.Seed `help:"Seed of the first run; the next runs have the next seeds. Default: at random."`
	For   time.Duration   `help:"How long to go on with more runs; 0: one run." default:"0s"`
	Trace bool            `help:"Write what happened in each run, also without a violation."`
	JSON  bool            `name:"json" help:"Write JSON, a line for each run."`
}

func (simulateCommand) Help() string {
	return "Nothing is read or changed: each run has its own stores, in memory and in a temporary folder. What happens in a run follows from its seed: " +
		"clients that create, update, delete and read through two services, crashes, and whatever JetStream may do: late and lost messages and " +
		"acknowledgements, followers that are behind, leaders that are away. After each run the invariants of the service are checked. " +
		"A violation is written with its seed, and with the steps that lead to it, as few as can be; the exit status is 1."
}

// errViolated means that a run violated an invariant. It is written already.
var errViolated = fmt.Errorf("an invariant is violated: %w", errProblemsFound)

func (c simulateCommand) Run(s console) error {
	first := uint64(c.Seed)
	if first == 0 {
		first = rand.Uint64N(1 << 32) //nolint:gosec // it is written
	}
	began := time.Now()
	for seed := first; ; seed++ {
		if s.ctx.Err() != nil {
			return s.ctx.Err()
		}
		violated := false
		err := c.once(s, seed, nil, func(r simulation.Report) error {
			violated = len(r.Problems) > 0
			return c.write(s, r)
		})
		switch {
		case err != nil:
			return err
		case violated:
			return errors.Join(c.shrink(s, seed), errViolated)
		case time.Since(began) >= c.For:
			return nil
		}
	}
}

// still is how long a run may take. In virtual time it takes seconds, but that stands still
// while one goroutine waits for a lock that another holds while it waits.
const still = 3 * time.Minute

// once makes a run, and ends the process when it stands still.
func (c simulateCommand) once(s console, seed uint64, steps []simulation.Step, done func(simulation.Report) error) error {
	standing := time.AfterFunc(still, func() {
		_, _ = fmt.Fprintf(s.err, "integrations: the run of seed %d stands still, so nothing is known of it\n", seed)
		os.Exit(1)
	})
	defer standing.Stop()
	return simulation.Once(seed, steps, done)
}

// shrunk is how long a violation may be shrunk.
const shrunk = time.Minute

// shrink writes the violation of a seed with as few steps as it finds.
func (c simulateCommand) shrink(s console, seed uint64) error {
	var last simulation.Report
	try := func(steps []simulation.Step) (r simulation.Report) {
		_ = c.once(s, seed, steps, func(one simulation.Report) error { r = one; return nil })
		return r
	}
	last = simulation.Shrink(try(nil), time.Now().Add(shrunk), try)
	if c.JSON {
		return s.writeJSON(last)
	}
	_, err := fmt.Fprintf(s.out, "with %d steps:\n", len(last.Steps))
	return errors.Join(err, last.WriteTrace(s.out))
}

// write writes the result of a run.
func (c simulateCommand) write(s console, r simulation.Report) error {
	if c.JSON {
		return s.writeJSON(r)
	}
	_, err := fmt.Fprintf(s.out, "seed %d: %d changes acknowledged, %d refused, %d unknown; %d events, %d webhooks; %.0f virtual seconds\n",
		r.Seed, r.Acknowledged, r.Refused, r.Unknown, r.Events, r.Deliveries, r.Seconds)
	if err == nil && (c.Trace || len(r.Problems) > 0) {
		err = r.WriteTrace(s.out)
	}
	return err
}
