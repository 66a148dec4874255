package transparency_test

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/seed677028b5/integrations/transparency"
)

// reference is a tree as golang.org/x/mod computes it.
type reference struct{ stored []transparency.Hash }

func (r *reference) ReadHashes(indexes []int64) ([]transparency.Hash, error) {
	found := make([]transparency.Hash, len(indexes))
	for n, index := range indexes {
		found[n] = r.stored[index]
	}
	return found, nil
}

func (r *reference) append(t *testing.T, size int64, leaf transparency.Hash) {
	t.Helper()
	hashes, err := tlog.StoredHashesForRecordHash(size, leaf, r)
	require.NoError(t, err)
	r.stored = append(r.stored, hashes...)
}

func leafOf(n int) transparency.Hash { return sha256.Sum256([]byte(fmt.Sprint(n))) }

// tiles keeps the tiles of a tree, and reads them as a server does.
type tiles map[[2]uint64][]transparency.Hash

func (all tiles) of(edge *transparency.Edge) transparency.TileSource {
	return func(level int, index uint64, _ int) ([]transparency.Hash, error) {
		if index == edge.Size>>(8*(level+1)) {
			return edge.Levels[level], nil
		}
		return all[[2]uint64{uint64(level), index}], nil
	}
}

func (all tiles) keep(tile transparency.Tile) {
	all[[2]uint64{uint64(tile.Level), tile.Index}] = tile.Hashes
}

func TestTheTreeIsThatOfRFC6962(t *testing.T) {
	t.Parallel()
	var edge transparency.Edge
	var sum transparency.Range
	want, full := &reference{}, tiles{}
	const size = 256*256 + 300 // three levels
	for n := range size {
		edge.Append(leafOf(n), full.keep)
		require.NoError(t, sum.Add(leafOf(n), 1))
		want.append(t, int64(n), leafOf(n))
		if n < 600 || n > size-3 || n%4099 == 0 {
			root, err := tlog.TreeHash(int64(n+1), want)
			require.NoError(t, err)
			require.Equal(t, root, edge.Root(), n+1)
			require.Equal(t, root, sum.Root(), n+1)
			require.NoError(t, edge.Check())
		}
	}
	tiled, err := transparency.NewTiled(edge.Size, edge.Root(), full.of(&edge))
	require.NoError(t, err)
	for _, position := range []uint64{1, 2, 255, 256, 257, 65536, 65537, size - 1, size} {
		proof, err := tiled.Inclusion(position)
		require.NoError(t, err)
		require.NoError(t, transparency.CheckInclusion(proof, size, edge.Root(), position, leafOf(int(position-1))))
		require.Error(t, transparency.CheckInclusion(proof, size, edge.Root(), position, leafOf(int(position))))
		earlier, err := tlog.TreeHash(int64(position), want)
		require.NoError(t, err)
		proof, err = tiled.Consistency(position)
		require.NoError(t, err)
		require.NoError(t, transparency.CheckConsistency(proof, size, edge.Root(), position, earlier))
		require.True(t, position == size || transparency.CheckConsistency(proof, size, edge.Root(), position, leafOf(-1)) != nil)
	}
	for _, position := range []uint64{0, size + 1} {
		_, err := tiled.Inclusion(position)
		require.Error(t, err)
		_, err = tiled.Consistency(position)
		require.Error(t, err)
	}
	empty := transparency.Edge{}
	require.Equal(t, transparency.Hash(sha256.Sum256(nil)), empty.Root())
}

func TestATileThatDoesNotLeadToTheRootProvesNothing(t *testing.T) {
	t.Parallel()
	var edge transparency.Edge
	full := tiles{}
	for n := range 700 {
		edge.Append(leafOf(n), full.keep)
	}
	full[[2]uint64{0, 1}][7][3] ^= 1
	tiled, err := transparency.NewTiled(edge.Size, edge.Root(), full.of(&edge))
	require.NoError(t, err)
	_, err = tiled.Inclusion(300)
	require.Error(t, err)
	_, err = tiled.Inclusion(10)
	require.NoError(t, err)
}

func TestSubtreesCoverARangeAndStopAtSizes(t *testing.T) {
	t.Parallel()
	var sum, want transparency.Range
	for n := range 1000 {
		require.NoError(t, want.Add(leafOf(n), 1))
	}
	sizes := []uint64{3, 512, 777}
	require.NoError(t, transparency.Subtrees(1, 1000, sizes, func(from, to uint64) error {
		for _, size := range sizes {
			require.False(t, from <= size && size < to, "%d to %d crosses %d", from, to, size)
		}
		var part transparency.Range
		for n := from; n <= to; n++ {
			require.NoError(t, part.Add(leafOf(int(n-1)), 1))
		}
		return sum.Add(part.Root(), to-from+1)
	}))
	require.Equal(t, want.Root(), sum.Root())
	require.Equal(t, uint64(1000), sum.Size())
	require.Error(t, sum.Add(leafOf(0), 16), "no subtree of 16 begins there")
	require.Error(t, sum.Add(leafOf(0), 3))
}
