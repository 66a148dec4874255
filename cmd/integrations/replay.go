package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// replayCommand writes what is in the log once more, as it was stored.
type replayCommand struct {
	Workspace   string    `help:"Only the events of this workspace."`
	Integration string    `help:"Only the events of this integration: its id, or with --workspace its name."`
	After       position  `help:"Begin after this position, such as the sequence that was written last." xor:"beginning"`
	From        time.Time `help:"Begin with what was stored at this time or later, such as 2026-05-06T12:00:00Z." xor:"beginning"`
	Probes      bool      `help:"Replay the results of probes instead."`
	Follow      bool      `help:"Go on with what is to come, until interrupted."`
	storeFlags  `embed:""`
}

// position is one in a log. Zeros before it don't make it octal.
type position uint64

// UnmarshalText reads a position as it is written in decimals.
func (p *position) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 64)
	*p = position(n)
	return err
}

func (c replayCommand) Help() string {
	return "Each line is a CloudEvent in JSON; its sequence is the position to go on after. It ends with the last event of when it began."
}

// selection says whose events are meant.
func (c replayCommand) selection() (of eventstore.Selection, err error) {
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

func (c replayCommand) Run(s streams) error {
	of, err := c.selection()
	if err != nil {
		return err
	}
	if c.Follow && c.From.After(clock()) {
		return errors.New("--from with --follow is a time that has been")
	}
	b, events, _, err := attachLog(s, c.storeFlags)
	if err != nil {
		return err
	}
	defer b.close()
	if err := c.checkAfter(s.ctx, events); err != nil {
		return err
	}
	broken := make(chan os.Signal, 1) // with it a write to a pipe that nobody reads fails, and doesn't end the program
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)

	r := &replaying{to: s.out, pace: newPace(s.err), at: uint64(c.After)}
	for batch, failed := range events.Replay(s.ctx, eventstore.Replay{Of: of, Probes: c.Probes, After: r.at, From: c.From, Follow: c.Follow}) {
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
	r.pace.done(r.at)
	if err == nil && s.ctx.Err() == nil {
		return nil
	}
	switch {
	case r.at > 0:
		_, _ = fmt.Fprintf(s.err, "go on with --after %d\n", r.at)
	case !c.From.IsZero():
		_, _ = fmt.Fprintf(s.err, "nothing was written; go on with --from %s\n", c.From.Format(time.RFC3339Nano))
	}
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted before the end")
	}
	return err
}

// checkAfter refuses a position that the log has not come to: it is of another one.
func (c replayCommand) checkAfter(ctx context.Context, events *eventstore.Store) error {
	head := events.Head
	if c.Probes {
		head = events.ProbeHead
	}
	end, err := head(ctx)
	if err == nil && uint64(c.After) > end {
		err = fmt.Errorf("--after %d is beyond the log, which ends at position %d", c.After, end)
	}
	return err
}

// replaying writes events a line each.
type replaying struct {
	to    io.Writer
	pace  *pace
	at    uint64 // the position of the last event that was written whole
	lines []byte
}

func (r *replaying) write(batch []eventstore.Stored) error {
	r.lines = r.lines[:0]
	for _, e := range batch {
		r.lines = append(e.AppendJSON(r.lines), '\n')
	}
	if _, err := r.to.Write(r.lines); err != nil {
		return fmt.Errorf("write events: %w", err)
	}
	r.at = batch[len(batch)-1].Position
	r.pace.add(len(batch), r.at)
	return nil
}

// pace tells how fast work goes that has no known end, every few seconds.
type pace struct {
	to          io.Writer
	count       int
	toldCount   int
	since, told time.Time
}

const paceEvery = 5 * time.Second

func newPace(to io.Writer) *pace {
	now := time.Now()
	return &pace{to: to, since: now, told: now}
}

// add says that some more are done, up to a position.
func (p *pace) add(more int, at uint64) {
	p.count += more
	now := time.Now()
	if took := now.Sub(p.told); took >= paceEvery {
		_, _ = fmt.Fprintf(p.to, "position %d, %.0f events a second\n", at, float64(p.count-p.toldCount)/took.Seconds())
		p.told, p.toldCount = now, p.count
	}
}

// done tells the sum when the work took long enough to be waited for.
func (p *pace) done(at uint64) {
	if took := time.Since(p.since); took >= time.Second {
		_, _ = fmt.Fprintf(p.to, "%d events up to position %d in %s, %.0f a second\n", p.count, at, took.Round(time.Millisecond), float64(p.count)/took.Seconds())
	}
}
