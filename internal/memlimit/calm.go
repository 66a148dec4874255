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

// Calm frees memory when a process that has used much is calm.
type Calm struct {
	Allocated func() uint64 // in bytes, since the process began
	Free      func()
}

const (
	checkEvery  = 500 * time.Millisecond
	muchBytes   = 32 << 20 // that are allocated between two times that memory is freed, at least
	calmBytes   = 1 << 20  // that a calm process allocates between two checks, at most
	modestBytes = 16 << 20 // that one with modest work does
	startTakes  = 1500 * time.Millisecond

	// freeEvery bounds what freeing costs, some ten milliseconds each time.
	freeEvery = time.Minute
)

// Run frees memory whenever it is worth it, until ctx ends. After the start it always is.
func (c Calm) Run(ctx context.Context) {
	checks := time.NewTicker(checkEvery)
	defer checks.Stop()
	var freed time.Time // zero: not since the start
	began := time.Now() //nolint:forbidigo // for an interval
	before, atFreed := c.Allocated(), uint64(0)
	for {
		var now time.Time
		select {
		case now = <-checks.C:
		case <-ctx.Done():
			return
		}
		allocated := c.Allocated()
		due, since := now.Sub(freed) >= freeEvery && allocated-atFreed >= muchBytes, allocated-before
		if freed.IsZero() { // by modest work that begins with the process, it is freed after the start
			due = since <= calmBytes || now.Sub(began) >= startTakes
		}
		if due && since <= modestBytes {
			c.Free()
			freed, atFreed = now, allocated
		}
		before = allocated
	}
}
