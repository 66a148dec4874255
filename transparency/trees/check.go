package trees

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/transparency"
)

// A Checked is the result of comparing a log with its tree.
type Checked struct {
	transparency.Report

	Replaced bool     `json:"replaced"` // the service continues the tree under another origin when it runs; nothing was compared
	Expired  uint64   `json:"expired"`  // positions whose messages are gone, as they may be
	Removed  uint64   `json:"removed"`  // positions whose messages were removed, since an archive has them
	Lag      uint64   `json:"lag"`      // positions after the last checkpoint
	Problems []string `json:"problems"`
}

// Check compares a whole log with its tree, and both with checkpoints that were held
// elsewhere. It names the positions that differ, the first few of them.
func (r *Reader) Check(ctx context.Context, log transparency.Log, held []byte) (Checked, error) {
	c := Checked{Problems: []string{}}
	problem := func(format string, args ...any) {
		if len(c.Problems) < maxProblems {
			c.Problems = append(c.Problems, string(log)+": "+fmt.Sprintf(format, args...))
		}
	}
	s, err := r.Trees.State(ctx, log)
	if err != nil {
		return c, err
	}
	bounds, err := r.Events.Bounds(ctx, r.Streams[log])
	if err != nil {
		return c, err
	}
	if !isOf(s.Identity, Identity(r.Events.Lineage(), log, bounds)) || s.Edge.Size > bounds.Last && !strict(log) {
		c.Replaced = true
		return c, nil
	}
	c.Lag = bounds.Last - min(bounds.Last, s.Edge.Size)
	if s.Edge.Size > bounds.Last {
		problem("positions %d to %d are gone: the log ends at %d, and a checkpoint was signed for %d", bounds.Last+1, s.Edge.Size, bounds.Last, s.Edge.Size)
	}
	expired := func(to uint64) bool { // the first of a log expire, also meanwhile; none in between does
		now, err := r.Events.Bounds(ctx, r.Streams[log])
		return err == nil && log.Expires() && to < now.First
	}
	var removed *eventstore.Positions
	var unread error // why they could not be read again
	if log == transparency.Integrations {
		if removed, err = r.Events.Removed(ctx); err != nil {
			return c, err
		}
	}
	from, to := io.Pipe()
	exported := make(chan error, 1)
	export := Export{
		Log: log, Sizes: heldSizes(held, log),
		Differs: func(position uint64) {
			problem("position %d was changed: its hash in the tree is another one", position)
		},
		Missing: func(from, to uint64) {
			if expired(to) || r.Events.Lineage().Accepted > 0 {
				c.Expired += to - from + 1
				return
			}
			if to = min(to, bounds.Last); from > to {
				return
			}
			now, err := r.Events.RemovedSince(ctx, removed, from, to)
			if err != nil {
				unread = err
				return
			}
			removed = now
			c.Removed += to - from + 1
			for _, lost := range removed.Others(from, to) {
				c.Removed -= lost.To - lost.From + 1
				problem("positions %d to %d are missing from the log", lost.From, lost.To)
			}
		},
	}
	go func() {
		err := r.Export(ctx, to, export)
		_ = to.CloseWithError(err) // it never fails
		exported <- err
	}()
	c.Report, err = transparency.Verify(from, nil, held)
	_ = from.Close() // it never fails; the export ends when it was stopped early
	failed := <-exported
	if err == nil && len(c.Findings) == 0 {
		err = cmp.Or(failed, unread)
	}
	if err != nil {
		return c, err
	}
	for _, f := range c.Findings {
		problem("%s", f.Detail)
	}
	return c, nil
}

// maxProblems bounds how many problems of a log are listed.
const maxProblems = 20

// heldSizes returns the sizes of held checkpoints, whatever their signatures.
func heldSizes(held []byte, log transparency.Log) []uint64 {
	var sizes []uint64
	for _, size := range transparency.HeldSizes(held, log) {
		if !slices.Contains(sizes, size) {
			sizes = append(sizes, size)
		}
	}
	return sizes
}
