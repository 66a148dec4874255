package eventstore

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func ownAt(position uint64, begun era) ownCommit {
	c := ownCommit{lastCommit: commitAt(position), era: begun}
	c.sealed = c.Commit
	return c
}

func keptAfter(k *keptEvents, position uint64) (positions []uint64, whole bool) {
	next, whole, _ := k.after(eraOfTests, position, maxBatch)
	for _, c := range next {
		positions = append(positions, c.Position)
	}
	return positions, whole
}

// An append may wait for others while a program connects and leaves. Its event is on disk at its position
// all the same, and what is after it would wait for it.
func TestAnAppendThatBeganBeforeAnotherProgramLeftLeavesNoGap(t *testing.T) {
	for name, begun := range map[string]era{
		"before it came":         {log: eraOfTests.log, others: 0, alone: true},
		"while it was connected": {log: eraOfTests.log, others: 1},
	} {
		t.Run(name, func(t *testing.T) {
			k := &keptEvents{}
			k.add(eraOfTests, ownAt(1, eraOfTests))
			k.add(eraOfTests, ownAt(2, begun))
			k.add(eraOfTests, ownAt(3, eraOfTests))
			got, whole := keptAfter(k, 0)
			require.True(t, whole)
			require.Equal(t, []uint64{1, 2, 3}, got)
		})
	}
	for name, begun := range map[string]era{
		"of another log":        {log: "y", others: 1, alone: true},
		"of another connection": {log: eraOfTests.log, reconnects: 1, others: 1, alone: true},
	} {
		t.Run(name, func(t *testing.T) {
			k := &keptEvents{}
			k.add(eraOfTests, ownAt(1, eraOfTests))
			k.add(eraOfTests, ownAt(2, begun))
			got, whole := keptAfter(k, 0)
			require.True(t, whole)
			require.Equal(t, []uint64{1}, got)
		})
	}
}

// Readers go to the server for what is missing, and go on from memory with what is after it.
func TestReadersDoNotWaitForAnEventThatIsNotAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keptEvents{}
		k.add(eraOfTests, ownAt(1, eraOfTests))
		_, whole, added := k.after(eraOfTests, 1, maxBatch)
		require.True(t, whole)
		k.add(eraOfTests, ownAt(4, eraOfTests), ownAt(5, eraOfTests))
		<-added
		_, whole = keptAfter(k, 1)
		require.False(t, whole, "2 and 3 are missing")
		got, whole := keptAfter(k, 3)
		require.True(t, whole)
		require.Equal(t, []uint64{4, 5}, got)
	})
}

// Acknowledgements of appends that were sent alone may overtake each other.
func TestReadersWaitForAnEventThatIsAcknowledgedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keptEvents{}
		k.add(eraOfTests, ownAt(1, eraOfTests))
		for last := uint64(1); last < 9; last += 2 {
			k.add(eraOfTests, ownAt(last+2, eraOfTests))
			got, whole := keptAfter(k, last)
			require.True(t, whole)
			require.Empty(t, got)
			k.add(eraOfTests, ownAt(last+1, eraOfTests))
			got, _ = keptAfter(k, last)
			require.Equal(t, []uint64{last + 1, last + 2}, got)
		}
		synctest.Wait()
		got, whole := keptAfter(k, 0)
		require.True(t, whole)
		require.Len(t, got, 9)
	})
}
