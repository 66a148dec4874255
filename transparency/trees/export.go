package trees

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/transparency"
)

// An Export selects what to export.
type Export struct {
	Log       transparency.Log
	Workspace domain.Workspace // whose messages to write; empty: all
	Sizes     []uint64         // of checkpoints that the export is compared with

	// Differs is called with each message that is not the one of which the tree has the hash.
	// A nil function is not called.
	Differs func(position uint64)
	// Missing is called with positions that have no message, of an export of everything.
	Missing func(from, to uint64)
}

// MaxSizes bounds the sizes of an export.
const MaxSizes = 1000

// maxExports bounds the exports of a process that run at once: each reads a whole log.
const maxExports = 4

// Export writes the log up to its last checkpoint, as Verify of package transparency reads it:
// the messages of the workspace, and hashes in place of all others.
//
// A few exports may run at once. Another is refused with an error of kind Limited, before
// anything is written.
func (r *Reader) Export(ctx context.Context, to io.Writer, of Export) error {
	if r.exports.Add(1) > maxExports {
		r.exports.Add(-1)
		return domain.Errorf(domain.Limited, "exports_running", "%d exports are running; try again when one has ended", maxExports)
	}
	defer r.exports.Add(-1)
	s, err := r.Trees.State(ctx, of.Log)
	if err != nil {
		return err
	}
	w, err := transparency.NewExportWriter(to, transparency.Header{Log: of.Log, Checkpoint: s.Note, PublicKey: r.Key.Public()})
	if err != nil {
		return err
	}
	filter := ">"
	if of.Workspace != "" {
		filter = subjects[of.Log] + string(of.Workspace) + ".>"
	}
	slices.Sort(of.Sizes)
	x := &exporting{Export: of, to: w, tiles: r.Trees.source(ctx, of.Log, s)}
	for batch, err := range r.Events.Messages(ctx, r.Streams[of.Log], filter, 0, s.Edge.Size) {
		if err != nil {
			return err
		}
		for _, m := range batch {
			if err := x.add(EntryOf(m)); err != nil {
				return err
			}
		}
	}
	return x.cover(s.Edge.Size)
}

// subjects are the beginnings of the subjects of each log.
var subjects = map[transparency.Log]string{
	transparency.Integrations: "integrations.", transparency.Approvals: "approvals.", transparency.Calls: "calls.", transparency.Access: "access.",
}

// exporting is an export that is being written.
type exporting struct {
	Export

	to    *transparency.ExportWriter
	tiles transparency.TileSource
}

func (x *exporting) add(e transparency.Entry) error {
	if err := x.cover(e.Position - 1); err != nil {
		return err
	}
	if x.Differs != nil {
		hashes, err := x.tiles(0, (e.Position-1)/transparency.TileWidth, 0)
		if err != nil {
			return err
		}
		if at := (e.Position - 1) % transparency.TileWidth; at >= uint64(len(hashes)) || hashes[at] != e.Leaf() {
			x.Differs(e.Position)
		}
	}
	if err := x.to.Entry(e); err != nil {
		return fmt.Errorf("export position %d: %w", e.Position, err)
	}
	return nil
}

// cover writes hashes in place of the positions up to one.
func (x *exporting) cover(to uint64) error {
	_, size := x.to.Root()
	if size >= to {
		return nil
	}
	if x.Missing != nil && x.Workspace == "" {
		x.Missing(size+1, to)
	}
	return transparency.Subtrees(size+1, to, x.Sizes, func(from, to uint64) error {
		h, err := subtree(x.tiles, from, to)
		if err != nil {
			return err
		}
		return x.to.Covered(transparency.Covered{From: from, To: to, Hash: h})
	})
}
