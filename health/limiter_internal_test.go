package health

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheWaitingProbesOfAWorkspaceAreBounded(t *testing.T) {
	limits := newLimiter(4, 1)
	ctx, stop := context.WithCancel(t.Context())
	end, err := limits.acquire(ctx, "acme", func() {})
	require.NoError(t, err)
	failed := make(chan error)
	for range maxPerWorkspace - 1 {
		go func() {
			_, err := limits.acquire(ctx, "acme", func() {})
			failed <- err
		}()
	}
	for full := false; !full; { // until all of them wait
		limits.mu.Lock()
		full = limits.of["acme"].count == maxPerWorkspace
		limits.mu.Unlock()
		runtime.Gosched()
	}
	_, err = limits.acquire(ctx, "acme", func() {})
	require.ErrorIs(t, err, errFull)
	other, err := limits.acquire(ctx, "globex", func() {})
	require.NoError(t, err, "other workspaces have their own limit")
	stop()
	for range maxPerWorkspace - 1 {
		require.ErrorIs(t, <-failed, context.Canceled)
	}
	end()
	other()
	require.Empty(t, limits.of)
	require.Empty(t, limits.all)
}
