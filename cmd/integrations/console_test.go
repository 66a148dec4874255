package main

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAnIDIsAUUIDThatSortsByTime(t *testing.T) {
	var ids []string
	for range 100 {
		id := newID()
		require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, id)
		ids = append(ids, id)
		for begin := time.Now(); time.Since(begin) < time.Microsecond; {
		}
	}
	require.True(t, slices.IsSorted(ids))
	require.Len(t, slices.Compact(ids), 100)
}
