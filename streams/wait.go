package streams

import (
	"context"
	"time"
)

// Wait waits for d, as between two tries. It returns false as soon as ctx ends.
func Wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
