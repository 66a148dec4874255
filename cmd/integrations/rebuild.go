package main

import (
	"fmt"
	"time"

	"github.com/seed677028b5/integrations/internal/terminal"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/transparency"
)

// rebuildCommand builds another generation of the read model beside the live one, and
// makes it live. A running service switches to it.
type rebuildCommand struct {
	JSON        bool `name:"json" help:"Write JSON."`
	archiveFlag `embed:""`
	storeFlags  `embed:""`
}

// rebuilt is what --json writes.
type rebuilt struct {
	Generation     uint64  `json:"generation"`
	Integrations   int     `json:"integrations"` // written, deleted ones included
	Authorizations int     `json:"authorizations"`
	Probes         int     `json:"probes"`
	Refused        int     `json:"refused"` // events that can't be applied
	Position       uint64  `json:"position"`
	ProbePosition  uint64  `json:"probe_position"`
	Seconds        float64 `json:"seconds"`
	PerSecond      float64 `json:"events_per_second"`
}

func (c rebuildCommand) Run(s console) error {
	conn, events, _, err := c.attachLog(s)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := c.openNames(s.ctx, conn, events); err != nil {
		return err
	}
	generations, err := c.openGenerations(s.ctx, s.log)
	if err != nil {
		return err
	}
	defer generations.Close() //nolint:errcheck // what was written is promoted or not
	var progress *terminal.Progress
	since := time.Now()
	builder := &projections.Builder{Events: events, Generations: generations, Log: s.log, Progress: func(b projections.Built) {
		if progress == nil {
			progress = terminal.NewProgress(s.err, "integrations", b.Known)
		}
		progress.Set(b.Integrations)
	}}
	if c.Archive != "" {
		from, err := c.openArchive(s, c.storeFlags, conn, events, transparency.Integrations)
		if err != nil {
			return err
		}
		builder.Archived = from.latest
	}
	built, err := builder.Run(s.ctx)
	if err != nil {
		return err
	}
	took := time.Since(since)
	r := rebuilt{
		Generation: built.Generation, Integrations: built.Integrations, Authorizations: built.Authorizations, Probes: built.Probes, Refused: built.Refused,
		Position: built.Reached.Integrations, ProbePosition: built.Reached.Probes,
		Seconds: took.Seconds(), PerSecond: float64(built.Integrations+built.Probes) / took.Seconds(),
	}
	if c.JSON {
		return s.writeJSON(r)
	}
	_, err = fmt.Fprintf(s.out, "generation %d is live: %d integrations and %d probes, up to position %d, in %s (%.0f events a second)\n",
		r.Generation, r.Integrations, r.Probes, r.Position, took.Round(time.Millisecond), r.PerSecond)
	if err == nil && r.Refused > 0 {
		_, err = fmt.Fprintf(s.out, "%d events can't be applied: see integrations status\n", r.Refused)
	}
	return err
}
