package memlimit

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Release returns the memory that was needed to start, or in a busy time, once the process is calm,
// until ctx ends. Go itself returns it over many minutes: it keeps as much as the last collection
// of garbage found in use, twice, and a calm process hardly collects.
func Release(ctx context.Context) {
	allocated := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	Calm{
		Allocated: func() uint64 {
			metrics.Read(allocated)
			return allocated[0].Value.Uint64()
		},
		Free: debug.FreeOSMemory,
	}.Run(ctx)
}

// Calm frees memory when a busy time has ended.
type Calm struct {
	Allocated func() uint64 // in bytes, since the process began
	Free      func()
}

const (
	checkEvery = 500 * time.Millisecond
	busyBytes  = 8 << 20 // that are allocated between two checks of a busy process, at least
	calmBytes  = 1 << 20 // of a calm one, at most

	// freeEvery bounds what freeing costs, some ten milliseconds each time.
	freeEvery = time.Minute
)

// Run frees memory at the end of each busy time, until ctx ends. The start of the process is one.
func (c Calm) Run(ctx context.Context) {
	checks := time.NewTicker(checkEvery)
	defer checks.Stop()
	var freed time.Time
	busy, before := true, c.Allocated()
	for {
		var now time.Time
		select {
		case now = <-checks.C:
		case <-ctx.Done():
			return
		}
		allocated := c.Allocated()
		switch since := allocated - before; {
		case since >= busyBytes:
			busy = true
		case since <= calmBytes && busy && now.Sub(freed) >= freeEvery:
			c.Free()
			busy, freed = false, now
		}
		before = allocated
	}
}
