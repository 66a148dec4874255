package eventstore_test

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// eventReader reads events as they are appended.
type eventReader struct{ logReader }

func readEvents(t *testing.T, log iter.Seq2[[]eventstore.Commit, error]) eventReader {
	t.Helper()
	return eventReader{readLog(t, log)}
}

// expect waits for the events at positions, in their order, and returns them.
func (r eventReader) expect(positions ...uint64) (events []eventstore.Commit) {
	r.Helper()
	for _, position := range positions {
		c := r.next(position)
		require.Equal(r, position, c.Position)
		events = append(events, c)
	}
	return events
}

// upTo returns the positions after one up to another.
func upTo(after, last uint64) (positions []uint64) {
	for at := after + 1; at <= last; at++ {
		positions = append(positions, at)
	}
	return positions
}

func TestOwnEventsAreReadFromMemoryWhileNobodyElseIsConnected(t *testing.T) {
	nc := natstest.Connect(t)
	s, known := openAlone(t, nc)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	first, second := readEvents(t, s.After(t.Context(), 0)), readEvents(t, s.AfterIn(t.Context(), eventstore.Selection{Workspace: "acme"}, 0))
	requireConsumers(t, js, eventstore.StreamOfIntegrations, 2)
	last := uint64(0)
	more := func(many int) []uint64 {
		before := last
		for range many {
			last = appendTo(t, s, last, changed(last+1), fmt.Sprint(last+1))
		}
		return upTo(before, last)
	}
	some := more(5)
	first.expect(some...)
	second.expect(some...)
	for range 2 { // a reader that is ahead of the acknowledgement goes on from memory with the next event
		some = more(1)
		first.expect(some...)
		second.expect(some...)
	}
	requireConsumers(t, js, eventstore.StreamOfIntegrations, 0)
	some = more(3)
	got := first.expect(some...)
	require.Equal(t, got, second.expect(some...))
	late := readEvents(t, s.After(t.Context(), some[0]-1))
	require.Equal(t, got, late.expect(some...), "which is still in memory")
	requireConsumers(t, js, eventstore.StreamOfIntegrations, 0)
	require.Equal(t, got, readEvents(t, open(t, nc).After(t.Context(), some[0]-1)).expect(some...), "what is in memory is what is stored")
	requireConsumers(t, js, eventstore.StreamOfIntegrations, 1)

	known.open.Store(true)
	requireConsumers(t, js, eventstore.StreamOfIntegrations, 4)
	last = appendTo(t, open(t, nc), last, changed(last+1), "of another program")
	first.expect(last)
	second.expect(last)
}

// An acknowledgement that was lost looks like this, and so does what another program sent before its
// connection ended.
func TestAnEventThatIsNotInMemoryIsReadAllTheSame(t *testing.T) {
	nc := natstest.Connect(t)
	s, known := openAlone(t, nc)
	unknown := open(t, nc)
	all, some := readEvents(t, s.After(t.Context(), 0)), readEvents(t, s.AfterIn(t.Context(), eventstore.Selection{}, 0))
	seen, last := uint64(0), uint64(0)
	for range 80 {
		by := s
		switch rand.IntN(4) {
		case 0:
			by = unknown
		case 1:
			known.accepted.Add(1)
			known.open.Store(!known.open.Load())
		}
		for range 1 + rand.IntN(6) {
			last = appendTo(t, by, last, changed(last+1), fmt.Sprint(last+1))
		}
		if rand.IntN(3) == 0 {
			all.expect(upTo(seen, last)...)
			some.expect(upTo(seen, last)...)
			seen = last
		}
	}
	last = appendTo(t, unknown, last, changed(last+1), "last")
	all.expect(upTo(seen, last)...)
	some.expect(upTo(seen, last)...)
}

// Its position may be that of another event in the log that goes on.
func TestAReaderFromMemoryNoticesThatTheLogIsAnotherOne(t *testing.T) {
	nc := natstest.Connect(t)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	s, _ := openAlone(t, nc)
	first := appendTo(t, s, 0, changed(1), "1")
	ended, got := make(chan error), make(chan uint64, 10)
	go func() {
		for commits, err := range s.After(t.Context(), first-1) {
			if err != nil {
				ended <- err
				return
			}
			got <- commits[len(commits)-1].Position
		}
	}()
	require.Equal(t, first, <-got)
	requireConsumers(t, js, eventstore.StreamOfIntegrations, 0)
	require.NoError(t, s.Begin(t.Context(), eventstore.Epoch{After: first, Reason: eventstore.Loss}, 0, ""))
	require.ErrorIs(t, <-ended, eventstore.ErrOtherLog)
}

func TestConcurrentAppendsAreReadInOrder(t *testing.T) {
	s, known := openAlone(t, natstest.Connect(t))
	one := domain.NewID("acme", "round-3-7")
	all, of := readEvents(t, s.After(t.Context(), 0)), readEvents(t, s.AfterIn(t.Context(), eventstore.Selection{Workspace: "acme", ID: one}, 0))
	last, found := uint64(0), uint64(0)
	for round := range 12 {
		if round%5 == 4 {
			known.accepted.Add(1)
		}
		many := appendMany(t.Context(), s, named(fmt.Sprint("round-", round), 20+rand.IntN(60)), nothing)
		for _, a := range many {
			require.NoError(t, a.err)
			if a.id == one {
				found = a.position
			}
		}
		all.expect(upTo(last, last+uint64(len(many)))...)
		last += uint64(len(many))
	}
	of.expect(found)
}

func TestAFollowerThatFallsBehindReadsEveryEvent(t *testing.T) {
	s, _ := openAlone(t, natstest.Connect(t))
	fast := readEvents(t, s.After(t.Context(), 0))
	goOn, done := make(chan bool), make(chan []uint64)
	go func() {
		var got []uint64
		for commits, err := range s.After(t.Context(), 0) {
			if err != nil {
				break
			}
			for _, c := range commits {
				got = append(got, c.Position)
			}
			if len(got) >= 2_500 {
				break
			}
			<-goOn
		}
		done <- got
	}()
	written := 0
	for round := range 5 { // together more than what is kept
		written += len(appendMany(t.Context(), s, named(fmt.Sprint("round-", round), 500), nothing))
	}
	fast.expect(upTo(0, uint64(written))...)
	close(goOn)
	require.Equal(t, upTo(0, uint64(written)), <-done)
}
