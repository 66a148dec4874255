package health

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOfAWorkspaceSoManyWaitAndNoMore(t *testing.T) {
	turns := newTurns(4, 1)
	ctx, stop := context.WithCancel(t.Context())
	end, err := turns.take(ctx, "acme", func() {})
	require.NoError(t, err)
	failed := make(chan error)
	for range mostHere - 1 {
		go func() {
			_, err := turns.take(ctx, "acme", func() {})
			failed <- err
		}()
	}
	for full := false; !full; { // once all of them have come
		turns.mu.Lock()
		full = turns.of["acme"].here == mostHere
		turns.mu.Unlock()
		runtime.Gosched()
	}
	_, err = turns.take(ctx, "acme", func() {})
	require.ErrorIs(t, err, errFull)
	other, err := turns.take(ctx, "globex", func() {})
	require.NoError(t, err, "other workspaces have theirs")
	stop()
	for range mostHere - 1 {
		require.ErrorIs(t, <-failed, context.Canceled)
	}
	end()
	other()
	require.Empty(t, turns.of)
	require.Empty(t, turns.all)
}
