package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/health"
	"github.com/seed677028b5/integrations/internal/objects"
	"github.com/seed677028b5/integrations/internal/terminal"
	"github.com/seed677028b5/integrations/transparency"
	"github.com/seed677028b5/integrations/transparency/archive"
	"github.com/seed677028b5/integrations/transparency/trees"
)

// pruneCommand removes events from the log that its archive has.
type pruneCommand struct {
	Archive    string        `help:"Folder or s3://BUCKET/PREFIX of the archive of the log." required:""`
	Keep       int           `help:"How many of the last events of each integration, and of each authorization, stay in the log; at least 1." default:"100"`
	MinAge     time.Duration `help:"Remove only events that are older: requests with an Idempotency-Key and clients that reconnect ask for newer ones." default:"48h"`
	Apply      bool          `help:"Remove them. Changes are refused meanwhile, for some seconds."`
	JSON       bool          `name:"json" help:"Write JSON."`
	storeFlags `embed:""`
}

func (pruneCommand) Help() string {
	return "Compares the whole log with its archive, byte for byte, and shows what would be removed. The state of each integration stays, and so does every proof; " +
		"what is removed can be read with replay --archive only. Make sure first that the archive is kept, such as in a bucket whose objects nobody can delete."
}

func (c pruneCommand) Run(s console) error {
	switch {
	case c.Keep < 1:
		return errors.New("--keep must be at least 1: the last event of an integration has its state")
	case c.MinAge < 0:
		return errors.New("--min-age must not be negative")
	}
	from, err := objects.Open(c.Archive)
	if err != nil {
		return fmt.Errorf("--archive: %w", err)
	}
	return c.openReader(s, func(r *trees.Reader) error {
		g, err := c.guard(s.ctx, r.Events, s.log)
		if err != nil {
			return err
		}
		if err := g.Last().Err(); err != nil {
			return err
		}
		p := archive.Prune{
			Archive: archive.Archive{Objects: from, Log: transparency.Integrations}, Events: r,
			LastOnly: []string{health.ScheduleFollower},
			Keep:     uint64(c.Keep), //nolint:gosec // at least 1
			MinAge:   c.MinAge, Now: clock(), Apply: c.Apply,
			Compared: progressOf(s, "positions compared"), Removed: progressOf(s, "events removed"), Waiting: s.waiting,
		}
		done, err := runOnce(s, r.Events, p.Run)
		if err != nil {
			return err
		}
		return c.show(s, done)
	})
}

// runOnce runs a removal while it has the lease of backups: a backup reads the record and the log one after the
// other. A removal that loses the lease has failed, and does not begin again.
func runOnce(s console, events *eventstore.Store, run func(context.Context) (archive.Pruned, error)) (done archive.Pruned, err error) {
	started := false
	failed := events.LeadOrFail(s.ctx, commands.BackupLease, s.waiting, func(leading context.Context) error {
		if started {
			return err
		}
		started = true
		if done, err = run(leading); err != nil && leading.Err() != nil {
			err = eventstore.ErrPruneInterrupted
		}
		return err
	})
	if failed == nil { // Lead returns nothing when ctx has ended
		failed = s.ctx.Err()
	}
	return done, failed
}

// progressOf returns a function that shows progress, once there is some.
func progressOf(s console, unit string) func(done, total uint64) {
	var progress *terminal.Progress
	return func(done, total uint64) {
		if progress == nil {
			progress = terminal.NewProgress(s.err, unit, int(total)) //nolint:gosec // a count of events fits
		}
		progress.Set(int(done)) //nolint:gosec // as above
	}
}

func (c pruneCommand) show(s console, done archive.Pruned) (err error) {
	switch {
	case c.JSON:
		return s.writeJSON(done)
	case done.Remove == 0:
		_, err = fmt.Fprintf(s.out, "%s: nothing to remove: of its %d events, each is among the last %d of its integration\n", done.Log, done.Events, c.Keep)
	case !done.Applied:
		_, err = fmt.Fprintf(s.out, "%s: %d of %d events up to position %d, %d bytes, are in the archive and would be removed; run again with --apply to remove them\n",
			done.Log, done.Remove, done.Events, done.Last, done.Bytes)
	default:
		_, err = fmt.Fprintf(s.out, "%s: removed %d of %d events up to position %d, %d bytes, which the archive has; %d have been removed so far\n",
			done.Log, done.Remove, done.Events, done.Last, done.Bytes, done.Removed)
	}
	return err
}
