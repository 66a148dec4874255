package eventstore

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEventsAreRemovedInSteps(t *testing.T) {
	t.Parallel()
	var r Retention
	position := uint64(0)
	for n, events := range []int{1, 5, 5, 9} {
		for range events {
			position++
			r.Add(fmt.Sprint(n), position)
		}
	}
	require.Equal(t, []uint64{2}, r.limits(2, 100))
	require.Equal(t, []uint64{5, 4, 3, 2}, r.limits(2, 4), "four of one, then one of each of three, three times")
	require.Equal(t, []uint64{9}, r.limits(9, 4))
	require.Equal(t, []uint64{3}, (&Retention{}).limits(3, 4))
}
