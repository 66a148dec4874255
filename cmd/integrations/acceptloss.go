package main

import (
	"github.com/seed677028b5/integrations/internal/recovery"
	"github.com/seed677028b5/integrations/internal/terminal"
)

// acceptLossCommand continues without events that are gone.
type acceptLossCommand struct {
	Apply      bool `help:"Continue without the missing events. Changes are accepted again."`
	JSON       bool `name:"json" help:"Write JSON."`
	storeFlags `embed:""`
}

func (c acceptLossCommand) Run(s console) error {
	conn, events, _, err := c.attachLog(s)
	if err != nil {
		return err
	}
	defer conn.Close()
	mark, err := c.folder().ReadMark()
	if err != nil {
		return err
	}
	progress := terminal.NewProgress(s.err, "events", 0)
	loss, err := recovery.FindLoss(s.ctx, conn.NATS, events, mark, func(position, head uint64) {
		progress.SetTotal(int(head)) //nolint:gosec // a count of events fits
		progress.Set(int(position))  //nolint:gosec // as above
	})
	if err != nil {
		return err
	}
	if c.Apply {
		keys, err := c.rootKeys()
		if err != nil {
			return err
		}
		if err := loss.Accept(s.ctx, conn.NATS, events, keys, c.Replicas, clock()); err != nil {
			return err
		}
	}
	if c.JSON {
		err = s.writeJSON(loss)
	} else {
		err = loss.WriteText(s.out)
	}
	if err == nil && !c.Apply && loss.Any() {
		return errProblemsFound
	}
	return err
}
