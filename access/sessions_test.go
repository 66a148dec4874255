package access_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
)

func openSessions(t *testing.T, nc *nats.Conn, now func() time.Time) *access.Sessions {
	t.Helper()
	s, err := access.OpenSessions(t.Context(), nc, 1, 12*time.Hour, now, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return s
}

func TestASessionThatWasEndedStaysEndedAfterARestartAndElsewhere(t *testing.T) {
	t.Parallel()
	nc := natstest.Connect(t)
	started := time.Now().Add(-time.Hour)
	here, there := openSessions(t, nc, time.Now), openSessions(t, nc, time.Now)
	require.False(t, here.Ended("key", "one", started))
	require.NoError(t, here.End(t.Context(), "key", "one", started))
	require.True(t, here.Ended("key", "one", started), "at once")
	require.Eventually(t, func() bool { return there.Ended("key", "one", started) }, 30*time.Second, time.Millisecond, "in the other process")
	require.False(t, there.Ended("key", "two", started))
	require.False(t, there.Ended("other", "one", started))
	require.NoError(t, there.End(t.Context(), "key", "two", started))
	again := openSessions(t, nc, time.Now)
	require.True(t, again.Ended("key", "one", started) && again.Ended("key", "two", started), "after a restart")
}

func TestEndedSessionsOfAnOwnerTakeBoundedSpace(t *testing.T) {
	t.Parallel()
	nc := natstest.Connect(t)
	s := openSessions(t, nc, time.Now)
	started := time.Now().Add(-time.Minute)
	for n := range 101 {
		require.NoError(t, s.End(t.Context(), "key", fmt.Sprint("session ", n), started))
	}
	again := openSessions(t, nc, time.Now)
	for n := range 101 {
		require.True(t, again.Ended("key", fmt.Sprint("session ", n), started))
	}
	require.True(t, again.Ended("key", "another", started), "older ones of the same owner end too")
	require.False(t, again.Ended("key", "later", time.Now()))
	require.False(t, again.Ended("other", "another", started))
}

func TestASessionIsEndedHereEvenWhenThatCannotBeRecorded(t *testing.T) {
	t.Parallel()
	nc := natstest.Connect(t)
	s := openSessions(t, nc, time.Now)
	started := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, domain.Unavailable, domain.KindOf(s.End(ctx, "key", "one", started)))
	require.True(t, s.Ended("key", "one", started))
	require.NoError(t, s.End(t.Context(), "key", "two", started))
	require.True(t, s.Ended("key", "one", started), "what others record does not bring it back")
	require.NoError(t, s.End(ctx, "key", "long ago", started.Add(-13*time.Hour)), "it has ended by itself")
}
