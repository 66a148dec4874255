package eventstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// leasesUsedUp has the server refuse each lease, as one does whose disk is full. The function that it returns
// ends that.
func leasesUsedUp(t *testing.T, s *Store) (free func()) {
	t.Helper()
	limit := func(bytes int64) {
		stream, err := s.js.Stream(t.Context(), "KV_"+leaseBucket)
		require.NoError(t, err)
		c := stream.CachedInfo().Config
		c.MaxBytes = bytes
		_, err = s.js.UpdateStream(t.Context(), c)
		require.NoError(t, err)
	}
	limit(1)
	return func() { limit(-1) }
}

func TestACommandSaysThatNATSCannotStoreItsLeaseAndFails(t *testing.T) {
	s := openStore(t, natstest.Connect(t), 1)
	leasesUsedUp(t, s)
	var reasons []string
	err := s.lead(t.Context(), "backup", impatient("backup", time.Nanosecond, func(why error) { reasons = append(reasons, why.Error()) }), func(context.Context) error {
		t.Error("it leads")
		return nil
	})
	require.Equal(t, domain.Unavailable, domain.KindOf(err), "%v", err)
	require.ErrorContains(t, errors.Unwrap(err), `get the lease "backup"`)
	require.ErrorContains(t, errors.Unwrap(err), "maximum bytes exceeded")
	require.Len(t, reasons, 1, "the same reason once")
	require.Contains(t, reasons[0], `waiting for the lease "backup": NATS can't store it`)
}

func TestACommandContinuesOnceItsLeaseCanBeStored(t *testing.T) {
	s := openStore(t, natstest.Connect(t), 1)
	free := leasesUsedUp(t, s)
	led := false
	require.NoError(t, s.LeadOrFail(t.Context(), "backup", func(error) { free() }, func(context.Context) error { led = true; return nil }))
	require.True(t, led)
}

func TestACommandWaitsForAnotherProcessAndSaysSo(t *testing.T) {
	s := openStore(t, natstest.Connect(t), 1)
	end, led := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- s.Lead(t.Context(), "backup", func(context.Context) error { close(led); <-end; return nil })
	}()
	<-led
	var reasons []string
	waiting := func(why error) { reasons = append(reasons, why.Error()); close(end) }
	require.NoError(t, s.lead(t.Context(), "backup", impatient("backup", 0, waiting), func(context.Context) error { return nil }))
	require.NoError(t, <-ended)
	require.Equal(t, []string{`waiting for the lease "backup": another process has it`}, reasons)
}
