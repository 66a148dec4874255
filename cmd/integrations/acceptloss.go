package main

import (
	"encoding/json"
	"fmt"

	"github.com/seed677028b5/integrations/eventstore"
)

// acceptLossCommand is the operator's word that events are gone for good.
type acceptLossCommand struct {
	Apply      bool `help:"Go on without these events. Changes are accepted again."`
	JSON       bool `name:"json" help:"Write JSON."`
	storeFlags `embed:""`
}

func (c acceptLossCommand) Run(s streams) error {
	b, events, _, err := attachLog(s, c.storeFlags)
	if err != nil {
		return err
	}
	defer b.close()
	mark, err := c.readMark()
	if err != nil {
		return err
	}
	progress := newProgress(s.err, "events", 0)
	scrubbed, err := events.Scrub(s.ctx, func(position, head uint64) {
		progress.total = int(head) //nolint:gosec // a count of events fits
		progress.at(int(position)) //nolint:gosec // as above
	})
	if err != nil {
		return err
	}
	found, err := events.Inspect(s.ctx, scrubbed, mark)
	if err != nil {
		return err
	}
	if c.Apply && !found.Whole() {
		formerly := ""
		if found.Replaced {
			formerly = mark.Log
		}
		missing := max(found.Last-min(found.Last, found.Messages), scrubbed.Missing)
		epoch := eventstore.Epoch{After: found.Last, Reason: eventstore.Loss, Began: clock()}
		if epoch.Probes, err = events.ProbeHead(s.ctx); err != nil {
			return err
		}
		if err := events.Begin(s.ctx, epoch, missing, formerly); err != nil {
			return err
		}
	}
	if c.JSON {
		err = json.NewEncoder(s.out).Encode(struct {
			eventstore.Integrity
			Applied bool `json:"applied"`
		}{found, c.Apply && !found.Whole()})
	} else {
		_, err = fmt.Fprintf(s.out, "the log has %d events up to position %d: %s\n", found.Messages, found.Last, found.Describe())
		switch {
		case found.Whole():
		case c.Apply:
			_, err = fmt.Fprintln(s.out, "accepted: a running service goes on within 10 seconds; the read model is rebuilt")
		default:
			_, err = fmt.Fprintln(s.out, "restore a backup to have them back, or go on without them: run it again with --apply")
		}
	}
	if err == nil && !c.Apply && !found.Whole() {
		return errFound
	}
	return err
}
