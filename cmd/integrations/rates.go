package main

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/seed677028b5/integrations/internal/ratelimit"
	"github.com/seed677028b5/integrations/transport"
)

// hostLimit is the kind of the limit of a host of upstreams.
const hostLimit = "host"

// maxPaceWait is how long a call waits for its turn at a host.
const maxPaceWait = 2 * time.Second

// newRates returns the limits that processes share.
func newRates(l transport.Limits, host float64) *ratelimit.Limiter {
	rates := maps.Clone(l.Rates())
	rates[hostLimit] = host
	return ratelimit.New(rates)
}

// pace waits until a call may be sent to a host.
func pace(rates *ratelimit.Limiter, now func() time.Time) func(context.Context, string) bool {
	return func(ctx context.Context, host string) bool {
		return rates.Wait(ctx, ratelimit.Subject{Kind: hostLimit, Name: host}, now(), maxPaceWait)
	}
}

// checkMaxConcurrent returns an error for a number that no calls could be made with.
func checkMaxConcurrent(calls int) error {
	if calls < 1 || calls > 10_000 {
		return fmt.Errorf("--max-concurrent-calls: %d must be 1 to 10000", calls)
	}
	return nil
}
