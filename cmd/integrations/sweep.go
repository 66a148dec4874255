package main

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/streams"
	"github.com/seed677028b5/integrations/vault"
)

// sweep destroys orphaned secrets, which no event names, at startup and every hour,
// until ctx ends.
func sweep(ctx context.Context, service *commands.Service, model *projections.Live, log *slog.Logger) error {
	for {
		swept, err := 0, error(nil)
		if head, failed := service.Events.Head(ctx); failed != nil || model.Position() <= head { // else the log is behind the read model
			swept, err = service.Sweep(ctx, commands.SweepAtMost)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			log.WarnContext(ctx, "orphaned secrets are not destroyed", slog.Any("err", err))
		case swept > 0:
			log.InfoContext(ctx, "destroyed orphaned secrets", slog.Int("count", swept))
		}
		if !streams.Wait(ctx, time.Hour) {
			return nil
		}
	}
}

// sweepCommand destroys more orphaned secrets than the service does by itself.
type sweepCommand struct {
	Apply      bool `help:"Destroy them. This can't be undone."`
	JSON       bool `name:"json" help:"Write JSON."`
	storeFlags `embed:""`
}

func (c sweepCommand) Run(s console) error {
	conn, events, _, err := c.attachLog(s)
	if err != nil {
		return err
	}
	defer conn.Close()
	secrets, err := c.openVault(s.ctx, conn, events)
	if err != nil {
		return err
	}
	if _, err := c.guard(s.ctx, events, s.log); err != nil {
		return err
	}
	service := &commands.Service{Events: events, Vault: secrets, Now: clock, Log: s.log}
	found := map[string]int{}
	total := 0
	if err := service.Orphans(s.ctx, func(secret vault.Stored) error {
		found[string(secret.Owner.Workspace)]++
		total++
		return nil
	}); err != nil {
		return err
	}
	destroyed := 0
	if c.Apply {
		if destroyed, err = service.Sweep(s.ctx, math.MaxInt); err != nil {
			return err
		}
	}
	if c.JSON {
		return s.writeJSON(map[string]any{"orphaned": total, "workspaces": found, "destroyed": destroyed})
	}
	for w, count := range found {
		_, _ = fmt.Fprintf(s.out, "%s: %d secrets\n", w, count)
	}
	_, err = fmt.Fprintf(s.out, "%d orphaned secrets older than %s; %d destroyed\n", total, commands.SweepAfter, destroyed)
	if err == nil && total > 0 && !c.Apply {
		_, err = fmt.Fprintln(s.out, "run again with --apply to destroy them")
	}
	return err
}
