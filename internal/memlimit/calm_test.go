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
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var allocated atomic.Uint64
		freed := 0
		go memlimit.Calm{Allocated: allocated.Load, Free: func() { freed++ }}.Run(ctx)
		synctest.Wait()
		pass := func(seconds int, bytesASecond uint64) {
			for range 2 * seconds {
				allocated.Add(bytesASecond / 2)
				time.Sleep(time.Second / 2)
				synctest.Wait()
			}
		}

		pass(5, 100<<20)
		require.Equal(t, 0, freed, "the start is a busy time")
		pass(1, 1000)
		require.Equal(t, 1, freed, "which has ended")
		pass(600, 1000)
		require.Equal(t, 1, freed, "a calm process is left alone")
		pass(5, 100<<20)
		pass(5, 1000)
		require.Equal(t, 2, freed)
		for range 30 {
			pass(1, 100<<20)
			pass(1, 1000)
		}
		require.Equal(t, 3, freed, "once a minute at most")
	})
}
