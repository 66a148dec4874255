package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAGoalSaysHowFarAFigureIs(t *testing.T) {
	for _, c := range []struct {
		name          string
		goal          goal
		figure, limit float64
		attained      float64
	}{
		{"half of what it may be less", goal{ratioAtLeast, 0.5}, 25, 100, 0.5},
		{"as much as it should be", goal{ratioAtLeast, 0.5}, 50, 100, 1},
		{"twice as slow as it may be", goal{ratioAtMost, 1.5}, 300, 100, 0.5},
		{"twice as much on top as there may be", goal{moreAtMost, 100}, 300, 100, 0.5},
		{"nothing on top", goal{moreAtMost, 100}, 90, 100, 10},
		{"half of what is allowed, whatever the limit", goal{figureAtMost, 10}, 5, 1, 2},
		{"far better than needed", goal{figureAtMost, 1000}, 1, 1, 10},
		{"no goal", goal{}, 5, 1, 0},
	} {
		require.InDelta(t, c.attained, c.goal.attained(c.figure, c.limit), 1e-9, c.name)
	}
}

func TestAResultIsTheMedianOfItsRepetitions(t *testing.T) {
	r := row{unit: aSecond, goal: goal{ratioAtLeast, 0.7}}.result(
		[]sample{{value: 90, p99: 3 * time.Millisecond}, {value: 10, p99: 9 * time.Millisecond}, {value: 60, p99: 5 * time.Millisecond}},
		[]sample{{value: 100}, {value: 120}, {value: 1}},
	)
	require.Equal(t, Measured{Median: 60, Least: 10, Most: 90, P99: 5000}, r.Figure)
	require.InDelta(t, 0.6, r.Ratio, 1e-9)
	require.False(t, *r.Met)
	require.Equal(t, ", MISSED: ≥ 0.7 × limit", r.verdict())
}

func TestPercentilesAreOfAllOperations(t *testing.T) {
	var took latencies
	for n := range 200 {
		took.add(time.Duration(200-n) * time.Microsecond)
	}
	s := took.sample()
	require.Equal(t, 101*time.Microsecond, s.p50)
	require.Equal(t, 199*time.Microsecond, s.p99)
}

func TestEveryRowHasANameOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range table {
		require.False(t, seen[r.name], r.name)
		seen[r.name] = true
		require.NotEmpty(t, r.what)
		require.NotEmpty(t, r.limit)
		require.NotNil(t, r.measure)
	}
}
