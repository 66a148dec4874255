package transparency

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// TileWidth is how many hashes a full tile has (C2SP tlog-tiles).
const TileWidth = 256

// maxLevels bounds the levels of tiles: 256 to the power of 7 leaves.
const maxLevels = 7

// A Tile is a row of up to 256 hashes, each of which covers 256 to the power of Level leaves.
type Tile struct {
	Level  int
	Index  uint64
	Hashes []Hash
}

// Edge is a tree in the form in which it grows: at each level, the hashes of the last tile
// while it is not full. The zero value is the empty tree.
type Edge struct {
	Size   uint64   `json:"size"`
	Levels [][]Hash `json:"levels"`
}

// Append adds a leaf, and calls full with each tile that it completes.
func (e *Edge) Append(leaf Hash, full func(Tile)) {
	e.Size++
	for level := 0; ; level++ {
		if level == len(e.Levels) {
			e.Levels = append(e.Levels, nil)
		}
		e.Levels[level] = append(e.Levels[level], leaf)
		if len(e.Levels[level]) < TileWidth {
			return
		}
		covered := uint64(1) << (8 * (level + 1))
		full(Tile{Level: level, Index: e.Size/covered - 1, Hashes: e.Levels[level]})
		leaf = subtree(e.Levels[level])
		e.Levels[level] = nil
	}
}

// Clone returns a copy that grows by itself.
func (e *Edge) Clone() Edge {
	c := Edge{Size: e.Size, Levels: make([][]Hash, len(e.Levels))}
	for n, level := range e.Levels {
		c.Levels[n] = append([]Hash(nil), level...)
	}
	return c
}

// Root returns the hash of the tree (RFC 6962, 2.1).
func (e *Edge) Root() Hash {
	if e.Size == 0 {
		root, _ := tlog.TreeHash(0, nil) // of nothing; it reads nothing and can't fail
		return root
	}
	var root Hash
	empty := true
	for _, level := range e.Levels {
		for end := len(level); end > 0; {
			width := end & -end // the smallest perfect subtree at the end
			h := subtree(level[end-width : end])
			if empty {
				root, empty = h, false
			} else {
				root = tlog.NodeHash(h, root)
			}
			end -= width
		}
	}
	return root
}

// Check returns an error unless the edge can be one of a tree of its size.
func (e *Edge) Check() error {
	if len(e.Levels) > maxLevels {
		return errors.New("the edge of the tree has too many levels")
	}
	size := uint64(0)
	for n, level := range e.Levels {
		if len(level) >= TileWidth {
			return fmt.Errorf("the edge of the tree has a full tile at level %d", n)
		}
		size += uint64(len(level)) << (8 * n)
	}
	if size != e.Size {
		return fmt.Errorf("the edge of the tree is of %d leaves, not of %d", size, e.Size)
	}
	return nil
}

// subtree returns the root of a perfect tree: the number of hashes is a power of two.
func subtree(hashes []Hash) Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	half := len(hashes) / 2
	return tlog.NodeHash(subtree(hashes[:half]), subtree(hashes[half:]))
}

// Range is a tree that is computed from the left, leaf by leaf or subtree by subtree. It keeps
// one hash for each bit of its size.
type Range struct {
	size   uint64
	stack  []Hash // the perfect subtrees, largest first
	widths []uint64
}

// Size returns how many leaves it covers.
func (r *Range) Size() uint64 { return r.size }

// Add adds a perfect subtree of width leaves, a power of two, at the end. It returns an error
// when the subtree can't stand there.
func (r *Range) Add(h Hash, width uint64) error {
	if width == 0 || width&(width-1) != 0 || r.size%width != 0 || r.size+width < r.size {
		return fmt.Errorf("no subtree of %d leaves begins after leaf %d", width, r.size)
	}
	r.size += width
	for n := len(r.widths); n > 0 && r.widths[n-1] == width; n-- {
		h = tlog.NodeHash(r.stack[n-1], h)
		width *= 2
		r.stack, r.widths = r.stack[:n-1], r.widths[:n-1]
	}
	r.stack, r.widths = append(r.stack, h), append(r.widths, width)
	return nil
}

// Root returns the hash of the tree.
func (r *Range) Root() Hash {
	if r.size == 0 {
		return (&Edge{}).Root()
	}
	root := r.stack[len(r.stack)-1]
	for n := len(r.stack) - 2; n >= 0; n-- {
		root = tlog.NodeHash(r.stack[n], root)
	}
	return root
}
