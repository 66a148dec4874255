package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/flagvalues"
	"github.com/seed677028b5/integrations/internal/terminal"
	"github.com/seed677028b5/integrations/transparency"
)

// replayCommand writes the events of the log, as they were stored.
type replayCommand struct {
	Workspace   string              `help:"Only the events of this workspace."`
	Integration string              `help:"Only the events of this integration: its id, or with --workspace its name."`
	After       flagvalues.Position `help:"Start after this position, such as the last sequence of an earlier replay." xor:"start"`
	From        time.Time           `help:"Start with events stored at this time or later, such as 2026-05-06T12:00:00Z." xor:"start"`
	Probes      bool                `help:"Replay the results of probes instead." xor:"stream"`
	Calls       bool                `help:"Replay the calls of upstreams instead." xor:"stream"`
	Approvals   bool                `help:"Replay the events of approvals instead." xor:"stream"`
	Follow      bool                `help:"Follow the log and write new events, until interrupted."`
	archiveFlag `embed:""`
	storeFlags  `embed:""`
}

func (c replayCommand) Help() string {
	return "Each line is a CloudEvent in JSON; its sequence is the position for --after. The replay ends with the last event that existed when it started."
}

// selection returns which events to replay.
func (c replayCommand) selection() (of eventstore.Selection, err error) {
	of.Authorizations = true
	if c.Workspace != "" {
		if of.Workspace, err = domain.ParseWorkspace(c.Workspace); err != nil {
			return of, err
		}
	}
	if c.Integration == "" {
		return of, nil
	}
	of.ID = domain.ParseID(of.Workspace, c.Integration)
	if of.Workspace == "" && of.ID == domain.NewID("", c.Integration) {
		return of, errors.New("--integration takes an id; with --workspace it takes a name as well")
	}
	return of, nil
}

func (c replayCommand) Run(s console) error {
	of, err := c.selection()
	if err != nil {
		return err
	}
	if c.Follow && c.From.After(clock()) {
		return errors.New("--from with --follow must be in the past")
	}
	conn, events, _, err := c.attachLog(s)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := c.checkAfter(s.ctx, events); err != nil {
		return err
	}
	read := events.Replay
	if c.Archive != "" {
		if c.Probes {
			return errors.New("--archive: the results of probes are not archived")
		}
		from, err := c.openArchive(s, c.storeFlags, conn, events, c.log())
		if err != nil {
			return err
		}
		read = from.replay
	} else if err := c.noteRemoved(s, events); err != nil {
		return err
	}
	broken := make(chan os.Signal, 1) // so that a write to a closed pipe fails instead of ending the program
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)

	r := &eventWriter{to: s.out, rate: terminal.NewRate(s.err), position: uint64(c.After)}
	for batch, failed := range read(s.ctx, eventstore.Replay{Of: of, Probes: c.Probes, Calls: c.Calls, Approvals: c.Approvals, After: r.position, From: c.From, Follow: c.Follow}) {
		if err = failed; err == nil {
			err = r.write(batch)
		}
		if err != nil {
			break
		}
	}
	if err == nil && !c.Follow {
		err = s.ctx.Err()
	}
	r.rate.Done(r.position)
	if err == nil && s.ctx.Err() == nil {
		return nil
	}
	switch {
	case r.position > 0:
		_, _ = fmt.Fprintf(s.err, "continue with --after %d\n", r.position)
	case !c.From.IsZero():
		_, _ = fmt.Fprintf(s.err, "nothing was written; continue with --from %s\n", c.From.Format(time.RFC3339Nano))
	}
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted before the end")
	}
	return err
}

// noteRemoved writes which events the log no longer has.
func (c replayCommand) noteRemoved(s console, events *eventstore.Store) error {
	removed, err := events.Removed(s.ctx)
	if err == nil && !c.Probes && c.log() == transparency.Integrations && removed.Last() > uint64(c.After) {
		_, err = fmt.Fprintf(s.err, "%d events up to position %d were removed from the log; --archive reads them too\n", removed.Count(), removed.Last())
	}
	return err
}

// log returns the log to replay.
func (c replayCommand) log() transparency.Log {
	switch {
	case c.Calls:
		return transparency.Calls
	case c.Approvals:
		return transparency.Approvals
	}
	return transparency.Integrations
}

// checkAfter returns an error for a position beyond the log, which is of another log.
func (c replayCommand) checkAfter(ctx context.Context, events *eventstore.Store) error {
	head := events.Head
	switch {
	case c.Probes:
		head = events.ProbeHead
	case c.Calls:
		head = events.CallHead
	case c.Approvals:
		head = events.ApprovalHead
	}
	end, err := head(ctx)
	if err == nil && uint64(c.After) > end {
		err = fmt.Errorf("--after %d is beyond the log, which ends at position %d", c.After, end)
	}
	return err
}

// eventWriter writes events, one per line.
type eventWriter struct {
	to       io.Writer
	rate     *terminal.Rate
	position uint64 // of the last event that was written
	lines    []byte
}

func (r *eventWriter) write(batch []eventstore.Stored) error {
	r.lines = r.lines[:0]
	for _, e := range batch {
		r.lines = append(e.AppendJSON(r.lines), '\n')
	}
	if _, err := r.to.Write(r.lines); err != nil {
		return fmt.Errorf("write events: %w", err)
	}
	r.position = batch[len(batch)-1].Position
	r.rate.Add(len(batch), r.position)
	return nil
}
