package main

import (
	"context"

	"github.com/seed677028b5/integrations/callrecorder"
	"github.com/seed677028b5/integrations/cmd/integrations/status"
	"github.com/seed677028b5/integrations/internal/datafolder"
	"github.com/seed677028b5/integrations/projections"
)

// statusCommand shows the status, and changes nothing.
type statusCommand struct {
	JSON       bool `name:"json" help:"Write JSON."`
	storeFlags `embed:""`
}

func (c statusCommand) Run(s console) error {
	conn, events, running, err := c.attachLog(s)
	if err != nil {
		return err
	}
	defer conn.Close()
	mark, err := c.folder().ReadMark()
	if err != nil {
		return err
	}
	service := status.Stopped
	switch {
	case c.NATSURL != "":
		service = status.Unknown
	case running:
		service = status.Running
	}
	damaged, err := callrecorder.FindDamaged(c.path(datafolder.Calls))
	if err != nil {
		return err
	}
	journals := make([]status.Journal, len(damaged))
	for n, d := range damaged {
		journals[n] = status.Journal(d)
	}
	report, err := status.Read(s.ctx, status.Source{
		Service: service, Events: events, NATS: conn.NATS, Now: clock(), Mark: mark, Journals: journals, Logs: logStreams(),
		Generations: func(ctx context.Context) (projections.Generations, error) { return c.openGenerations(ctx, s.log) },
	})
	if err != nil {
		return err
	}
	if c.JSON {
		err = s.writeJSON(report)
	} else {
		err = report.WriteText(s.out, clock())
	}
	if err == nil && !report.Healthy() {
		return errProblemsFound
	}
	return err
}
