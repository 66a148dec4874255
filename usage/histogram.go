package usage

import (
	"maps"
	"math"
	"math/bits"
	"slices"
	"time"
)

// A Histogram counts durations in buckets whose width is at most a 32nd of their values,
// from one microsecond on. Histograms are merged by adding their counts, so the order in
// which durations arrive does not matter.
type Histogram map[int]int

// steps is how many buckets a doubling has.
const steps = 32

// bucket returns the index of the bucket of a duration.
func bucket(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	if us < steps {
		return int(us)
	}
	shift := bits.Len64(us) - bits.Len64(steps)
	return shift*steps + int(us>>shift) //nolint:gosec // below 2 × steps
}

// longest returns the longest duration in a bucket.
func longest(index int) time.Duration {
	if index < steps {
		return time.Duration(index) * time.Microsecond
	}
	shift := index/steps - 1
	return time.Duration((steps+index%steps+1)<<shift-1) * time.Microsecond
}

// Add counts a duration.
func (h Histogram) Add(d time.Duration) { h[bucket(d)]++ }

// Merge adds the counts of another histogram.
func (h Histogram) Merge(other Histogram) {
	for index, count := range other {
		h[index] += count
	}
}

// Quantile returns a duration that the share q of all durations does not exceed, at most
// a 32nd above the shortest such; 0 without durations.
func (h Histogram) Quantile(q float64) time.Duration {
	total := 0
	for _, count := range h {
		total += count
	}
	rank := int(math.Ceil(q * float64(total)))
	for _, index := range slices.Sorted(maps.Keys(h)) {
		if rank -= h[index]; rank <= 0 {
			return longest(index)
		}
	}
	return 0
}
