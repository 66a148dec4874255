package transparency

import (
	"fmt"
	"math"

	"golang.org/x/mod/sumdb/tlog"
)

// TileSource reads tiles of one tree, the last ones included. It returns at least width
// hashes of a tile.
type TileSource func(level int, index uint64, width int) ([]Hash, error)

// Tiled proves what a tree has, from its tiles. Tiles that don't lead to the root of the tree
// are an error.
type Tiled struct {
	size   int64
	hashes tlog.HashReader
}

// NewTiled returns the tree of a checkpoint.
func NewTiled(size uint64, root Hash, tiles TileSource) (*Tiled, error) {
	if size > math.MaxInt64/4 {
		return nil, fmt.Errorf("a tree of %d leaves is too large", size)
	}
	n := int64(size)
	return &Tiled{n, tlog.TileHashReader(tlog.Tree{N: n, Hash: root}, tileReader{tiles})}, nil
}

// Inclusion returns the path from the leaf of a position to the root (RFC 6962, 2.1.1).
func (t *Tiled) Inclusion(position uint64) ([]Hash, error) {
	if position == 0 || position > uint64(t.size) { //nolint:gosec // a size is not negative
		return nil, fmt.Errorf("position %d is not in a tree of %d", position, t.size)
	}
	return tlog.ProveRecord(t.size, int64(position-1), t.hashes) //nolint:gosec // it is in the tree
}

// Consistency returns the hashes that show that an earlier tree is the beginning of this one
// (RFC 6962, 2.1.2).
func (t *Tiled) Consistency(from uint64) ([]Hash, error) {
	if from == 0 || from > uint64(t.size) { //nolint:gosec // a size is not negative
		return nil, fmt.Errorf("a tree of %d has no beginning of %d", t.size, from)
	}
	return tlog.ProveTree(t.size, int64(from), t.hashes) //nolint:gosec // it is in the tree
}

// Subtree returns the root of the perfect subtree over the positions from to to.
func (t *Tiled) Subtree(from, to uint64) (Hash, error) {
	width, level := to-from+1, 0
	for w := width; w > 1; w /= 2 {
		level++
	}
	found, err := t.hashes.ReadHashes([]int64{tlog.StoredHashIndex(level, int64((from-1)/width))}) //nolint:gosec // it is in the tree
	if err != nil {
		return Hash{}, err
	}
	return found[0], nil
}

// CheckInclusion returns an error unless the leaf is at a position of the tree.
func CheckInclusion(proof []Hash, size uint64, root Hash, position uint64, leaf Hash) error {
	return tlog.CheckRecord(proof, int64(size), root, int64(position)-1, leaf) //nolint:gosec // it refuses what is negative
}

// CheckConsistency returns an error unless the first tree is the beginning of the second.
func CheckConsistency(proof []Hash, size uint64, root Hash, from uint64, fromRoot Hash) error {
	return tlog.CheckTree(proof, int64(size), root, int64(from), fromRoot) //nolint:gosec // it refuses what is negative
}

// tileReader is a tlog.TileReader.
type tileReader struct{ tiles TileSource }

const tileHeight = 8 // 256 hashes

func (tileReader) Height() int                     { return tileHeight }
func (tileReader) SaveTiles([]tlog.Tile, [][]byte) {}

func (r tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(tiles))
	for n, t := range tiles {
		hashes, err := r.tiles(t.L, uint64(t.N), t.W) //nolint:gosec // not negative
		if err != nil {
			return nil, err
		}
		if len(hashes) < t.W {
			return nil, fmt.Errorf("tile %d of level %d has %d hashes, not %d", t.N, t.L, len(hashes), t.W)
		}
		all[n] = EncodeTile(hashes[:t.W])
	}
	return all, nil
}

// EncodeTile returns a tile as C2SP tlog-tiles serves it: the hashes one after the other.
func EncodeTile(hashes []Hash) []byte {
	data := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		data = append(data, h[:]...)
	}
	return data
}

// DecodeTile is the reverse of EncodeTile.
func DecodeTile(data []byte) ([]Hash, error) {
	if len(data)%tlog.HashSize != 0 || len(data) > TileWidth*tlog.HashSize {
		return nil, fmt.Errorf("a tile has %d bytes", len(data))
	}
	hashes := make([]Hash, len(data)/tlog.HashSize)
	for n := range hashes {
		hashes[n] = Hash(data[n*tlog.HashSize:])
	}
	return hashes, nil
}
