package eventstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/eventstore"
)

func TestASetOfPositionsHasWhatWasAdded(t *testing.T) {
	t.Parallel()
	var none *eventstore.Positions
	require.False(t, none.Has(1))
	require.Zero(t, none.Count()+none.Last())
	require.Equal(t, []eventstore.Range{{From: 3, To: 9}}, none.Others(3, 9))
	require.Empty(t, none.Others(3, 2))

	p := &eventstore.Positions{}
	for _, position := range []uint64{1, 2, 16384, 16385, 40000, 40000} {
		p.Add(position)
	}
	require.Equal(t, uint64(5), p.Count())
	require.Equal(t, uint64(40000), p.Last())
	require.Equal(t, []eventstore.Range{{From: 3, To: 16383}, {From: 16386, To: 39999}, {From: 40001, To: 40002}}, p.Others(1, 40002))
	require.Empty(t, p.Others(16384, 16385))
	other := &eventstore.Positions{}
	require.NotEqual(t, p.Hash(), other.Hash())
	other.AddAll(p)
	other.AddAll(none)
	require.Equal(t, p.Hash(), other.Hash())
	other.Add(3)
	require.NotEqual(t, p.Hash(), other.Hash())
}

func TestTheLastEventsOfEachSubjectAreRetained(t *testing.T) {
	t.Parallel()
	var r eventstore.Retention
	for at, subject := range []string{"a", "b", "a", "", "a", "b", "c"} {
		if subject != "" { // else it is gone
			r.Add(subject, uint64(at)+1)
		}
	}
	require.Equal(t, uint64(7), r.Position())
	require.Equal(t, uint64(6), r.Events())
	for keep, want := range map[uint64][]uint64{1: {1, 2, 3}, 2: {1}, 3: nil} {
		beyond := r.Beyond(keep)
		require.Equal(t, uint64(len(want)), beyond.Count(), "keep %d", keep)
		for _, position := range want {
			require.True(t, beyond.Has(position), "keep %d, position %d", keep, position)
		}
	}
}
