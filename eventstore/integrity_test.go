package eventstore_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// damaged fills a log, stops its server, changes something on the disk, and returns the
// integrity of the log afterwards and its store.
func damaged(t *testing.T, do func(t *testing.T, stream string)) (*eventstore.Store, eventstore.Mark, eventstore.Integrity) {
	t.Helper()
	dir := t.TempDir()
	nc, stop := natstest.Start(t, dir)
	s := open(t, nc)
	spread(t, s, 0, 300, "acme", "globex")
	mark, err := s.Mark(t.Context())
	require.NoError(t, err)
	stop()
	do(t, filepath.Join(dir, "jetstream", "$G", "streams", "INTEGRATIONS"))
	nc, stop = natstest.Start(t, dir)
	t.Cleanup(stop)
	s = open(t, nc)
	found, err := s.Inspect(t.Context(), eventstore.Scrubbed{}, mark)
	require.NoError(t, err)
	return s, mark, found
}

func block(t *testing.T, stream string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(stream, "msgs", "*.blk"))
	require.NoError(t, err)
	require.Len(t, all, 1)
	return all[0]
}

func TestALogThatLostEventsIsDetected(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	for name, c := range map[string]struct {
		do    func(t *testing.T, stream string)
		whole bool
	}{
		"nothing": {func(*testing.T, string) {}, true},
		"its index": {func(t *testing.T, stream string) {
			require.NoError(t, os.Remove(filepath.Join(stream, "msgs", "index.db")))
		}, true},
		"its end": {func(t *testing.T, stream string) {
			info, err := os.Stat(block(t, stream))
			require.NoError(t, err)
			require.NoError(t, os.Truncate(block(t, stream), info.Size()*6/10))
		}, false},
		"the inside of an event": {func(t *testing.T, stream string) {
			data, err := os.ReadFile(block(t, stream))
			require.NoError(t, err)
			for n := range 8 {
				data[len(data)/2+n] ^= 0xff
			}
			require.NoError(t, os.WriteFile(block(t, stream), data, 0o600))
			require.NoError(t, os.Remove(filepath.Join(stream, "msgs", "index.db")))
		}, false},
		"its block": {func(t *testing.T, stream string) { require.NoError(t, os.Remove(block(t, stream))) }, false},
		"itself":    {func(t *testing.T, stream string) { require.NoError(t, os.RemoveAll(stream)) }, false},
		"its folder": {func(t *testing.T, stream string) {
			require.NoError(t, os.RemoveAll(filepath.Dir(stream)))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, found := damaged(t, c.do)
			t.Logf("%+v: %s", found, found.Describe())
			require.Equal(t, c.whole, found.Whole(), found.Describe())
			require.Equal(t, c.whole, found.Err() == nil)
			_ = s
		})
	}
}

// The server trusts its index, and skips an event that it can't read.
func TestAScrubFindsEventsThatCannotBeRead(t *testing.T) {
	s, _, found := damaged(t, func(t *testing.T, stream string) {
		data, err := os.ReadFile(block(t, stream))
		require.NoError(t, err)
		for n := range 8 {
			data[len(data)/2+n] ^= 0xff
		}
		require.NoError(t, os.WriteFile(block(t, stream), data, 0o600))
	})
	require.True(t, found.Whole(), "only reading every event detects it")
	scrubbed, err := s.Scrub(t.Context(), false, func(uint64, uint64) {})
	require.NoError(t, err)
	require.Equal(t, uint64(1), scrubbed.Missing)
	found, err = s.Inspect(t.Context(), scrubbed)
	require.NoError(t, err)
	require.False(t, found.Whole())
	require.Equal(t, scrubbed.Ranges, found.Ranges)

	require.NoError(t, s.Begin(t.Context(), eventstore.Epoch{After: found.Last, Reason: eventstore.Loss}, 1, ""))
	scrubbed, err = s.Scrub(t.Context(), false, func(uint64, uint64) {})
	require.NoError(t, err)
	found, err = s.Inspect(t.Context(), scrubbed)
	require.NoError(t, err)
	require.True(t, found.Whole(), "an operator has accepted the loss")
}

func TestNothingIsAppendedToALogThatLostEvents(t *testing.T) {
	s, mark, _ := damaged(t, func(t *testing.T, stream string) { require.NoError(t, os.Remove(block(t, stream))) })
	g := &eventstore.Guard{Store: s, Saved: mark, Save: func(eventstore.Mark) error { return errors.New("not while events are missing") }, Log: slog.New(slog.DiscardHandler)}
	found, err := g.Check(t.Context())
	require.NoError(t, err)
	require.False(t, found.Whole())
	require.NoError(t, g.Keep(t.Context()))
	_, err = s.Append(t.Context(), "acme", crm(1).ID, 0, domain.IntegrationCreated{Integration: crm(1)}, meta("c1"))
	refusal, ok := errors.AsType[*domain.Error](err)
	require.True(t, ok, err)
	require.Equal(t, "log_incomplete", refusal.Code)
	require.ErrorIs(t, s.CheckWritable(t.Context()), refusal)
	require.NoError(t, s.Begin(t.Context(), eventstore.Epoch{After: found.Last, Reason: eventstore.Loss}, 300, ""))
	_, err = g.Check(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.CheckWritable(t.Context()))
}

// The state of the stream still counts an event at its end that can't be read.
func TestReadingMessagesEndsBeforeAnEndThatCannotBeRead(t *testing.T) {
	s, _, found := damaged(t, func(t *testing.T, stream string) {
		data, err := os.ReadFile(block(t, stream))
		require.NoError(t, err)
		for n := range 8 {
			data[len(data)-20-n] ^= 0xff
		}
		require.NoError(t, os.WriteFile(block(t, stream), data, 0o600))
	})
	require.Equal(t, uint64(300), found.Last)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var last uint64
	for batch, err := range s.Messages(ctx, eventstore.StreamOfIntegrations, ">", 0, found.Last) {
		require.NoError(t, err)
		last = batch[len(batch)-1].Position
	}
	require.NoError(t, ctx.Err())
	require.Equal(t, uint64(299), last)
}
