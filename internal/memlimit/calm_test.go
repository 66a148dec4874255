package memlimit_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/memlimit"
)

func TestMemoryIsFreedOnceABusyTimeHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pass, freed := watched(t)
		pass(5, 100<<20)
		require.Zero(t, freed(), "it is busy")
		pass(1, 1000)
		require.Equal(t, 1, freed())
		pass(600, 1000)
		require.Equal(t, 1, freed(), "a calm process is left alone")
		pass(5, 100<<20)
		pass(5, 1000)
		require.Equal(t, 2, freed())
		for range 30 {
			pass(1, 100<<20)
			pass(1, 1000)
		}
		require.Equal(t, 3, freed(), "once a minute at most")
	})
}

func TestTheStartIsABusyTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pass, freed := watched(t)
		pass(1, 1000)
		require.Equal(t, 1, freed())
	})
}

func TestMemoryIsFreedBesideWorkThatAllocatesLittleAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pass, freed := watched(t)
		pass(2, 20<<20)
		require.Equal(t, 1, freed())
		pass(180, 20<<20) // as the daily reading of a large log does
		require.Equal(t, 4, freed())
	})
}

// watched runs a Calm during the test. Pass lets a process allocate for some seconds.
func watched(t *testing.T) (pass func(seconds int, bytesASecond uint64), freed func() int) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var allocated atomic.Uint64
	frees, ended := 0, make(chan struct{})
	go func() {
		defer close(ended)
		memlimit.Calm{Allocated: allocated.Load, Free: func() { frees++ }}.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	synctest.Wait()
	pass = func(seconds int, bytesASecond uint64) {
		for range 2 * seconds {
			allocated.Add(bytesASecond / 2)
			time.Sleep(time.Second / 2)
			synctest.Wait()
		}
	}
	return pass, func() int { return frees }
}
