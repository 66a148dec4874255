package eventstore_test

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
)

func called(t *testing.T, s *eventstore.Store, w domain.Workspace, name string) uint64 {
	t.Helper()
	position, err := s.RecordCall(t.Context(), domain.IntegrationInvoked{
		ID: domain.NewID(w, name), Workspace: w, Endpoint: "list", Kind: domain.TestCall, Outcome: domain.CallOK, At: noon,
	}, meta(name))
	require.NoError(t, err)
	return position
}

// A rare integration is found behind many calls of others, which take few requests to skip.
func TestCallsAreReadBackwards(t *testing.T) {
	s := open(t, natstest.Connect(t))
	rare := []uint64{called(t, s, "acme", "rare"), called(t, s, "acme", "rare")}
	var many []eventstore.CallRecord
	for range 3000 {
		one, err := s.EncodeCall(t.Context(), domain.IntegrationInvoked{ID: domain.NewID("acme", "busy"), Workspace: "acme", Kind: domain.TestCall, Outcome: domain.CallOK, At: noon}, meta("b"))
		require.NoError(t, err)
		many = append(many, one)
	}
	for batch := range slices.Chunk(many, 500) {
		_, err := s.RecordCalls(t.Context(), batch)
		require.NoError(t, err)
	}
	rare = append(rare, called(t, s, "acme", "rare"))
	slices.Reverse(rare)
	of := eventstore.Selection{Workspace: "acme", ID: domain.NewID("acme", "rare")}
	for _, limit := range []int{1, 2, 3, 4} {
		got, more, err := s.CallPageBefore(t.Context(), of, 0, limit)
		require.NoError(t, err)
		require.Equal(t, limit < 3, more)
		var positions []uint64
		for _, c := range got {
			require.NoError(t, c.Err)
			positions = append(positions, c.Position)
		}
		require.Equal(t, rare[:min(limit, 3)], positions, limit)
	}
	got, more, err := s.CallPageBefore(t.Context(), eventstore.Selection{Workspace: "other"}, 0, 5)
	require.NoError(t, err)
	require.Empty(t, got)
	require.False(t, more)
	got, _, err = s.CallPageBefore(t.Context(), eventstore.Selection{Workspace: "acme"}, 3, 5)
	require.NoError(t, err)
	require.Len(t, got, 2)
}

// A call whose acknowledgement doesn't come may still be on its way: it is found all the same.
func TestACallThatWasSentToAPausedServerIsFound(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it builds a NATS server; run without -short")
	}
	server := natstest.Spawn(t, t.TempDir(), true)
	nc, err := nats.Connect(server.URL)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	s := open(t, nc)
	for n := range 10 {
		id := fmt.Sprint("call-", n)
		record, err := s.EncodeCall(t.Context(), domain.IntegrationInvoked{ID: domain.NewID("acme", "crm"), Workspace: "acme", Kind: domain.TestCall, Outcome: domain.CallOK, At: noon}, meta(id))
		require.NoError(t, err)
		head, err := s.CallHead(t.Context())
		require.NoError(t, err)
		require.NoError(t, server.Running().Signal(syscall.SIGSTOP))
		require.Eventually(t, func() bool { return nc.FlushTimeout(10*time.Millisecond) != nil }, time.Minute, time.Millisecond)
		sent, failed := nc.Stats().OutMsgs, make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			_, err := s.RecordCalls(ctx, []eventstore.CallRecord{record})
			failed <- err
		}()
		require.Eventually(t, func() bool { return nc.Stats().OutMsgs > sent }, time.Minute, time.Millisecond, "it is on its way")
		cancel()
		require.Error(t, <-failed)
		require.NoError(t, server.Running().Signal(syscall.SIGCONT))
		found, err := s.RecordedCalls(t.Context(), head, []eventstore.CallRecord{record})
		require.NoError(t, err)
		require.Contains(t, found, record.ID())
	}
}

func TestHowLongCallsAreKeptIsASetting(t *testing.T) {
	nc := natstest.Connect(t)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{ // as an earlier version did
		Name: "CALLS", Subjects: []string{"calls.*.*"}, AllowDirect: true, MaxMsgsPerSubject: 1000, MaxAge: 30 * 24 * time.Hour,
	})
	require.NoError(t, err)
	s := open(t, nc)
	for n, row := range []struct {
		age     time.Duration
		changed bool
		want    time.Duration
	}{
		{0, true, 720 * time.Hour},
		{0, false, 720 * time.Hour},
		{52560 * time.Hour, true, 52560 * time.Hour},
		{52560 * time.Hour, false, 52560 * time.Hour},
		{0, false, 52560 * time.Hour},
		{time.Hour, true, time.Hour},
	} {
		changed, err := s.KeepCalls(t.Context(), row.age)
		require.NoError(t, err)
		require.Equal(t, row.changed, changed, fmt.Sprint(n))
		stream, err := js.Stream(t.Context(), "CALLS")
		require.NoError(t, err)
		require.Equal(t, row.want, stream.CachedInfo().Config.MaxAge, fmt.Sprint(n))
		require.Equal(t, int64(-1), stream.CachedInfo().Config.MaxMsgsPerSubject)
	}
}

func TestThePositionOfACallIsOfOneLog(t *testing.T) {
	first := eventstore.Lineage{Epochs: []eventstore.Epoch{{ID: "AAAABBBBCCCC"}}}
	later := eventstore.Lineage{Epochs: []eventstore.Epoch{{ID: "AAAABBBBCCCC"}, {ID: "DDDDEEEEFFFF"}}}
	for _, l := range []eventstore.Lineage{{}, first, later} {
		position, err := l.ParseCall(l.Name(7))
		require.NoError(t, err)
		require.Equal(t, uint64(7), position)
	}
	for text, kind := range map[string]string{"7": "position_unknown", "7-AAAABBBB": "position_unknown", "x": "position_invalid", "": "position_invalid"} {
		_, err := later.ParseCall(text)
		var refusal *domain.Error
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, kind, refusal.Code, text)
	}
}
