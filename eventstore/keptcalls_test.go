package eventstore_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// recordCalls stores some calls together.
func recordCalls(t *testing.T, s *eventstore.Store, ids ...string) {
	t.Helper()
	all := make([]eventstore.CallRecord, len(ids))
	for n, id := range ids {
		var err error
		all[n], err = s.EncodeCall(t.Context(), domain.IntegrationInvoked{ID: crm(1).ID, Workspace: "acme", Endpoint: "list", Kind: domain.ToolCall, Outcome: domain.CallOK, At: noon}, meta(id))
		require.NoError(t, err)
	}
	_, err := s.RecordCalls(t.Context(), all)
	require.NoError(t, err)
}

// logReader reads a log as it grows.
type logReader struct {
	*testing.T
	commits chan eventstore.Commit
}

func readLog(t *testing.T, log iter.Seq2[[]eventstore.Commit, error]) logReader {
	t.Helper()
	r := logReader{t, make(chan eventstore.Commit, 10_000)}
	go func() {
		for commits, err := range log {
			if err != nil {
				if t.Context().Err() == nil {
					t.Error(err)
				}
				return
			}
			for _, c := range commits {
				r.commits <- c
			}
		}
	}()
	return r
}

// next waits for the next one, which is expected to be the one that is named.
func (r logReader) next(named any) eventstore.Commit {
	r.Helper()
	select {
	case c := <-r.commits:
		require.NoError(r, c.Err)
		return c
	case <-time.After(time.Minute):
		require.FailNow(r, "it is missing", named)
	}
	return eventstore.Commit{}
}

// callReader reads calls as they are recorded.
type callReader struct{ logReader }

func readCalls(t *testing.T, s *eventstore.Store, after uint64) callReader {
	t.Helper()
	return callReader{readLog(t, s.CallsAfter(t.Context(), after))}
}

// expect waits for calls, in their order, and returns them.
func (r callReader) expect(ids ...string) (calls []eventstore.Commit) {
	r.Helper()
	for _, id := range ids {
		c := r.next(id)
		require.Equal(r, id, c.Meta.CommandID)
		calls = append(calls, c)
	}
	return calls
}

func TestOwnCallsAreReadFromMemoryWhileNobodyElseIsConnected(t *testing.T) {
	nc := natstest.Connect(t)
	s, known := openAlone(t, nc)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	s.BeforeCalls(func(context.Context) error { return nil }) // as a recorder does
	first, second := readCalls(t, s, 0), readCalls(t, s, 0)
	requireConsumers(t, js, eventstore.StreamOfCalls, 2)
	recordCalls(t, s, "1", "2", "3", "4", "5")
	first.expect("1", "2", "3", "4", "5")
	second.expect("1", "2", "3", "4", "5")
	requireConsumers(t, js, eventstore.StreamOfCalls, 0)
	recordCalls(t, s, "6", "7")
	got := first.expect("6", "7")
	require.Equal(t, got, second.expect("6", "7"))
	late := readCalls(t, s, 5)
	require.Equal(t, got, late.expect("6", "7"), "which is still in memory")
	requireConsumers(t, js, eventstore.StreamOfCalls, 0)
	require.Equal(t, got, readCalls(t, open(t, nc), 5).expect("6", "7"), "what is in memory is what is stored")
	requireConsumers(t, js, eventstore.StreamOfCalls, 1)

	known.open.Store(true)
	requireConsumers(t, js, eventstore.StreamOfCalls, 4)
	recordCalls(t, open(t, nc), "8")
	first.expect("8")
	second.expect("8")
}

// An acknowledgement that was lost looks like this.
func TestACallThatIsNotInMemoryIsReadAllTheSame(t *testing.T) {
	nc := natstest.Connect(t)
	s, known := openAlone(t, nc)
	unknown := open(t, nc)
	r := readCalls(t, s, 0)
	want, n := []string(nil), 0
	next := func(many int) (ids []string) {
		for range many {
			n++
			ids = append(ids, fmt.Sprint("call-", n))
		}
		want = append(want, ids...)
		return ids
	}
	for range 60 {
		switch rand.IntN(4) {
		case 0:
			recordCalls(t, unknown, next(1+rand.IntN(6))...)
		case 1:
			known.accepted.Add(1)
			known.open.Store(!known.open.Load())
		default:
			recordCalls(t, s, next(1+rand.IntN(6))...)
		}
		if rand.IntN(3) == 0 {
			r.expect(want...)
			want = nil
		}
	}
	recordCalls(t, unknown, next(1)...)
	r.expect(want...)
}

func TestAReaderThatFallsBehindReadsEveryCall(t *testing.T) {
	s, _ := openAlone(t, natstest.Connect(t))
	s.BeforeCalls(func(context.Context) error { return nil })
	var want []string
	more := func(many int) {
		ids := named(fmt.Sprint("batch-", len(want)), many)
		want = append(want, ids...)
		recordCalls(t, s, ids...)
	}
	more(10)
	slow, fast := make(chan bool), readCalls(t, s, 0)
	var got []string
	go func() {
		defer close(slow)
		for commits, err := range s.CallsAfter(t.Context(), 0) {
			if err != nil {
				return
			}
			for _, c := range commits {
				got = append(got, c.Meta.CommandID)
			}
			if len(got) == 5_010 {
				return
			}
			slow <- true
		}
	}()
	for range 10 {
		more(500) // together more than what is kept
		select {
		case <-slow:
		default:
		}
	}
	fast.expect(want...)
	for running := true; running; {
		_, running = <-slow
	}
	require.Equal(t, want, got)
}

func TestAReaderOfCallsFromMemoryNoticesThatTheLogIsAnotherOne(t *testing.T) {
	nc := natstest.Connect(t)
	s, _ := openAlone(t, nc)
	head := appendTo(t, s, 0, changed(1), "1")
	recordCalls(t, s, "1")
	ended, got := make(chan error), make(chan uint64, 10)
	go func() {
		for calls, err := range s.CallsAfter(t.Context(), 0) {
			if err != nil {
				ended <- err
				return
			}
			got <- calls[len(calls)-1].Position
		}
	}()
	require.Equal(t, uint64(1), <-got)
	require.NoError(t, s.Begin(t.Context(), eventstore.Epoch{After: head, Reason: eventstore.Loss}, 0, ""))
	require.ErrorIs(t, <-ended, eventstore.ErrOtherLog)
}
