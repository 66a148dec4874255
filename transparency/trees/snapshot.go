package trees

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/seed677028b5/integrations/transparency"
)

// A Snapshot is the tree of a log at one moment.
type Snapshot struct {
	log   transparency.Log
	state State
	key   transparency.Key
	tiles transparency.TileSource
}

// ErrUnsigned means that the tree is not yet that of the present log.
var ErrUnsigned = errors.New("nothing is signed of this log since it was restored or lost events; start the service, which signs it")

// Snapshot returns the tree of a log that has all that is in the tree. The error is ErrUnsigned when
// the service makes another tree when it runs, and ErrShorter when that is for an operator to decide.
func (r *Reader) Snapshot(ctx context.Context, log transparency.Log) (*Snapshot, error) {
	s, last, err := r.Signed(ctx, log)
	switch {
	case err != nil:
		return nil, err
	case s.Size() > last && strict(log):
		return nil, fmt.Errorf("%s: %w: %d positions, and a checkpoint was signed for %d; run integrations verify", log, ErrShorter, last, s.Size())
	case s.Size() > last:
		return nil, fmt.Errorf("%s: %w", log, ErrUnsigned)
	}
	return s, nil
}

// Signed returns the tree of a log, and the last position that the log has now: it may have lost its
// end since it was signed. The error is ErrUnsigned when the tree is of another log.
func (r *Reader) Signed(ctx context.Context, log transparency.Log) (s *Snapshot, last uint64, err error) {
	state, err := r.Trees.State(ctx, log)
	if err != nil {
		return nil, 0, err
	}
	bounds, err := r.Events.Bounds(ctx, r.Streams[log])
	if err != nil {
		return nil, 0, err
	}
	if !isOf(state.Identity, Identity(r.Events.Lineage(), log, bounds)) {
		return nil, 0, fmt.Errorf("%s: %w", log, ErrUnsigned)
	}
	return &Snapshot{log: log, state: state, key: r.Key, tiles: r.Trees.source(ctx, log, state)}, bounds.Last, nil
}

// Size returns how many positions are signed.
func (s *Snapshot) Size() uint64 { return s.state.Edge.Size }

// IsOf reports whether a checkpoint was signed for this log, also before the log lost its end and its
// tree went on under another origin.
func (s *Snapshot) IsOf(c transparency.Checkpoint) bool {
	return c.Log() == s.log && unforked(c.Origin) == unforked(transparency.OriginOf(s.log, s.state.Identity))
}

// unforked returns an origin without its log and what nextFork adds.
func unforked(origin string) string {
	stem, _, _ := strings.Cut(path.Dir(origin), ".")
	return stem
}

// Leaf returns the hash of a position.
func (s *Snapshot) Leaf(position uint64) (transparency.Hash, error) {
	return subtree(s.tiles, position, position)
}

// Cover calls yield with what stands for the positions from to to, both included.
func (s *Snapshot) Cover(from, to uint64, yield func(transparency.Covered) error) error {
	return transparency.Subtrees(from, to, nil, func(from, to uint64) error {
		h, err := subtree(s.tiles, from, to)
		if err != nil {
			return err
		}
		return yield(transparency.Covered{From: from, To: to, Hash: h})
	})
}

// Root returns the hash of the tree when it had a size.
func (s *Snapshot) Root(size uint64) (transparency.Hash, error) {
	if size > s.Size() {
		return transparency.Hash{}, fmt.Errorf("%s has %d positions that are signed, and not %d", s.log, s.Size(), size)
	}
	var sum transparency.Range
	err := s.Cover(1, size, func(c transparency.Covered) error { return sum.Add(c.Hash, c.To-c.From+1) })
	return sum.Root(), err
}

// Sign returns the signed checkpoint of the tree when it had a size, which the last checkpoint
// has signed already, for a segment that ends there.
func (s *Snapshot) Sign(size uint64, of transparency.Segment) (transparency.Checkpoint, error) {
	return s.sign(size, transparency.Checkpoint{Segment: of})
}

// SignRemoval is Sign for a removal of messages up to a size.
func (s *Snapshot) SignRemoval(size uint64, of transparency.Removal) (transparency.Checkpoint, error) {
	return s.sign(size, transparency.Checkpoint{Removal: of})
}

func (s *Snapshot) sign(size uint64, c transparency.Checkpoint) (transparency.Checkpoint, error) {
	root, err := s.Root(size)
	if err != nil {
		return transparency.Checkpoint{}, err
	}
	c.Origin, c.Size, c.Root = transparency.OriginOf(s.log, s.state.Identity), size, root
	return s.key.Sign(c)
}
