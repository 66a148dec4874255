// Package simulation runs the service in virtual time, on a model of its NATS server, and
// checks afterwards what it promised. What happens, and when, follows from a seed: the
// operations of clients, crashes, and what JetStream may do to messages, connections,
// leaders and followers.
//
// Its promise: a seed leads to the same run, so a violation is repeated by its seed; and a
// run on the code as it stands has none.
package simulation

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Config configures a run.
type Config struct {
	Seed   uint64
	Steps  []Step // what happens; nil: what follows from the seed
	Folder string // an empty folder, for the read models
	Log    bool   // keep what the service logs, in the trace
}

// Report is the result of a run.
type Report struct {
	Seed         uint64   `json:"seed"`
	Steps        []Step   `json:"steps"`
	Replicas     int      `json:"replicas"`     // of each stream
	Acknowledged int      `json:"acknowledged"` // changes
	Refused      int      `json:"refused"`
	Unknown      int      `json:"unknown"`    // changes without an answer
	Events       int      `json:"events"`     // in the log at the end
	Deliveries   int      `json:"deliveries"` // of webhooks
	Seconds      float64  `json:"virtual_seconds"`
	Problems     []string `json:"problems"` // violated invariants
	Trace        []string `json:"trace"`    // what happened, in its order
}

// Kind returns the kind of the first problem, the same for all that have one cause; "": none.
func (r Report) Kind() string {
	if len(r.Problems) == 0 {
		return ""
	}
	kind, _, _ := strings.Cut(r.Problems[0], ":")
	return kind
}

// Run makes one run. It must be called in a synctest bubble; settled is synctest.Wait.
func Run(c Config, settled func()) Report {
	steps := c.Steps
	if steps == nil {
		steps = Plan(c.Seed)
	}
	w := newWorld(c, settled)
	began := time.Now()
	for _, s := range steps {
		sleepUntil(began.Add(s.At))
		w.take(s)
	}
	w.heal(began.Add(length))
	w.check()
	w.end()
	r := Report{
		Seed: c.Seed, Steps: steps, Replicas: w.replicas, Events: len(w.log), Deliveries: len(w.receiver.got),
		Seconds: time.Since(began).Seconds(), Problems: w.problems, Trace: w.trace,
	}
	for _, o := range w.operations {
		switch {
		case !o.Do.writes():
		case o.outcome == acknowledged:
			r.Acknowledged++
		case o.outcome == refused:
			r.Refused++
		default:
			r.Unknown++
		}
	}
	slices.Sort(r.Trace) // those of one moment are noted in any order
	return r
}

func sleepUntil(t time.Time) { time.Sleep(time.Until(t)) }

// WriteTrace writes what happened, and the violated invariants.
func (r Report) WriteTrace(out io.Writer) error {
	for _, line := range r.Trace {
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	for _, p := range r.Problems {
		if _, err := fmt.Fprintln(out, "VIOLATED:", p); err != nil {
			return err
		}
	}
	return nil
}
