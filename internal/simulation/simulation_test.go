package simulation_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/simulation"
)

// run makes one run in a bubble.
func run(t *testing.T, c simulation.Config) (r simulation.Report) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	runtime.GC() // nats.go keeps timers in a pool, and those of a bubble can't be used in the next
	runtime.GC()
	c.Folder = t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r = simulation.Run(c, synctest.Wait)
	})
	return r
}

// corpus has the seeds that find faults which the service once had, and some more.
func corpus(t *testing.T) []uint64 {
	t.Helper()
	var all []uint64
	for _, m := range mutants {
		first, _, _ := strings.Cut(m.seeds, "-")
		seed, err := strconv.ParseUint(first, 10, 64)
		require.NoError(t, err)
		all = append(all, seed)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// SIMULATE_SEEDS=1-200 makes the runs of these seeds instead.
func TestTheCorpusHasNoViolation(t *testing.T) {
	seeds := corpus(t)
	var first, last uint64
	if _, err := fmt.Sscanf(os.Getenv("SIMULATE_SEEDS"), "%d-%d", &first, &last); err == nil {
		seeds = nil
		for seed := first; seed <= last; seed++ {
			seeds = append(seeds, seed)
		}
	}
	for _, seed := range seeds {
		r := run(t, simulation.Config{Seed: seed})
		if len(r.Problems) > 0 {
			var trace strings.Builder
			require.NoError(t, r.WriteTrace(&trace))
			t.Errorf("seed %d:\n%s", seed, &trace)
		}
		require.Positive(t, r.Acknowledged)
		require.Positive(t, r.Deliveries)
	}
}

// Goroutines that are ready at one moment run in any order, so two runs of a seed may drift
// apart where much happens at once. What they are asked to do is the same.
func TestASeedHasItsSteps(t *testing.T) {
	require.Equal(t, simulation.Plan(7), simulation.Plan(7))
	require.NotEqual(t, simulation.Plan(7), simulation.Plan(8))
	few := simulation.Plan(2)[:12]
	first, again := run(t, simulation.Config{Seed: 2, Steps: few}), run(t, simulation.Config{Seed: 2, Steps: few})
	require.Equal(t, first.Trace, again.Trace)
}

// A change that is acknowledged and not in the log, and whatever else must not be, is found:
// the same run with a fault in it is in TestFaultsAreFound.
func TestAViolationIsShrunkToTheStepsThatItNeeds(t *testing.T) {
	steps := simulation.Plan(1)
	needed := []int{3, 40, 41}
	r := simulation.Shrink(violated(steps, needed), time.Now().Add(time.Minute), func(rest []simulation.Step) simulation.Report { return violated(rest, needed) })
	require.Len(t, r.Steps, len(needed))
}

// violated is the report of a run that violates an invariant if it has the needed steps.
func violated(steps []simulation.Step, needed []int) simulation.Report {
	r := simulation.Report{Steps: steps}
	for _, number := range needed {
		if !slices.ContainsFunc(steps, func(s simulation.Step) bool { return s.Number == number }) {
			return r
		}
	}
	r.Problems = []string{"lost: something"}
	return r
}
