package trees

import (
	"context"
	"fmt"
	"math/bits"
	"sync/atomic"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/transparency"
)

// Reader proves what is in the logs.
type Reader struct {
	Events  *eventstore.Store
	Trees   *Store
	Streams map[transparency.Log]string // the stream of each log
	Key     transparency.Key

	exports atomic.Int32 // that are running
}

// An Inclusion shows that a message is at its position in the log.
type Inclusion struct {
	Entry      transparency.Entry
	Leaf       transparency.Hash
	Checkpoint transparency.Checkpoint
	Hashes     []transparency.Hash // from the leaf to the root
}

// Inclusion returns the proof for a message of a workspace. The error is of kind NotFound when
// the position is of another workspace, has expired, or is in no checkpoint yet, and Gone when only an
// archive has the message.
func (r *Reader) Inclusion(ctx context.Context, log transparency.Log, w domain.Workspace, position uint64) (Inclusion, error) {
	m, found, err := r.Events.MessageFrom(ctx, r.Streams[log], max(position, 1))
	if err != nil {
		return Inclusion{}, err
	}
	if log == transparency.Integrations && m.Position != position {
		removed, err := r.Events.RemovedNow(ctx)
		if err != nil {
			return Inclusion{}, err
		}
		if removed.Has(position) {
			return Inclusion{}, domain.Errorf(domain.Gone, "event_archived", "the event at position %d was moved to an archive, which has its proof too", position)
		}
	}
	p := Inclusion{Entry: EntryOf(m)}
	if !found || m.Position != position || p.Entry.Workspace() != string(w) {
		return Inclusion{}, domain.Errorf(domain.NotFound, "position_not_found", "this workspace has no event at position %d", position)
	}
	s, err := r.Trees.State(ctx, log)
	if err != nil {
		return Inclusion{}, err
	}
	if position > s.Edge.Size {
		return Inclusion{}, domain.Errorf(domain.NotFound, "position_unsigned", "no checkpoint has position %d yet; checkpoints follow the log within a second", position)
	}
	tiled, err := r.Trees.Tiled(ctx, log, s)
	if err != nil {
		return Inclusion{}, err
	}
	if p.Hashes, err = tiled.Inclusion(position); err != nil {
		return Inclusion{}, fmt.Errorf("prove position %d of %s: %w", position, log, err)
	}
	p.Leaf, p.Checkpoint = p.Entry.Leaf(), s.Checkpoint(log)
	return p, nil
}

// A Consistency shows that a log of an earlier size is the beginning of the present one.
type Consistency struct {
	From       uint64
	Checkpoint transparency.Checkpoint
	Hashes     []transparency.Hash
}

// Consistency returns the proof for an earlier size. The error is of kind Invalid when the log
// was never of that size.
func (r *Reader) Consistency(ctx context.Context, log transparency.Log, from uint64) (Consistency, error) {
	s, err := r.Trees.State(ctx, log)
	if err != nil {
		return Consistency{}, err
	}
	if from == 0 || from > s.Edge.Size {
		return Consistency{}, domain.Errorf(domain.Invalid, "size_unknown", "the log has %d positions in its last checkpoint: from must be 1 to %d", s.Edge.Size, s.Edge.Size)
	}
	tiled, err := r.Trees.Tiled(ctx, log, s)
	if err != nil {
		return Consistency{}, err
	}
	c := Consistency{From: from, Checkpoint: s.Checkpoint(log)}
	if c.Hashes, err = tiled.Consistency(from); err != nil {
		return Consistency{}, fmt.Errorf("prove that %s was of size %d: %w", log, from, err)
	}
	return c, nil
}

// subtree returns the root of the perfect subtree over the positions from to to.
func subtree(tiles transparency.TileSource, from, to uint64) (transparency.Hash, error) {
	width, index := to-from+1, from-1
	level := bits.TrailingZeros64(width) / 8
	covered := uint64(1) << (8 * level)               // leaves under one hash of that level
	first, count := index/covered, int(width/covered) //nolint:gosec // at most 256
	hashes, err := tiles(level, first/transparency.TileWidth, 0)
	if err != nil {
		return transparency.Hash{}, err
	}
	at := int(first % transparency.TileWidth)
	if at+count > len(hashes) {
		return transparency.Hash{}, fmt.Errorf("the tree lacks positions %d to %d", from, to)
	}
	var sum transparency.Range
	for _, h := range hashes[at : at+count] {
		if err := sum.Add(h, 1); err != nil {
			return transparency.Hash{}, err
		}
	}
	return sum.Root(), nil
}
