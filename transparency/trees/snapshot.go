package trees

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed677028b5/integrations/transparency"
)

// A Snapshot is the tree of a log at one moment.
type Snapshot struct {
	log   transparency.Log
	state State
	key   transparency.Key
	tiles transparency.TileSource
}

// errUnsigned means that the tree is not yet that of the present log.
var errUnsigned = errors.New("nothing is signed of this log since it was restored or lost events; start the service, which signs it")

// Snapshot returns the tree of a log.
func (r *Reader) Snapshot(ctx context.Context, log transparency.Log) (*Snapshot, error) {
	s, err := r.Trees.State(ctx, log)
	if err != nil {
		return nil, err
	}
	bounds, err := r.Events.Bounds(ctx, r.Streams[log])
	if err != nil {
		return nil, err
	}
	if !isOf(s.Identity, Identity(r.Events.Lineage(), log, bounds)) || s.Edge.Size > bounds.Last {
		return nil, fmt.Errorf("%s: %w", log, errUnsigned)
	}
	return &Snapshot{log: log, state: s, key: r.Key, tiles: r.Trees.source(ctx, log, s)}, nil
}

// Size returns how many positions are signed.
func (s *Snapshot) Size() uint64 { return s.state.Edge.Size }

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
	root, err := s.Root(size)
	if err != nil {
		return transparency.Checkpoint{}, err
	}
	return s.key.Sign(transparency.Checkpoint{Origin: transparency.OriginOf(s.log, s.state.Identity), Size: size, Root: root, Segment: of})
}
