package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// busy fills the log with events of three workspaces, one of which is rare, and returns
// all of them in order.
func busy(t *testing.T, s *eventstore.Store, count int) []eventstore.Commit {
	t.Helper()
	last := map[domain.ID]uint64{}
	var all []eventstore.Commit
	for n := range count {
		w, name := domain.Workspace("acme"), fmt.Sprintf("crm-%d", n%3)
		switch {
		case n%300 == 7:
			w = "rare"
		case n%2 == 0:
			w = "busy"
		}
		i := crm(uint64(n))
		i.Workspace, i.ID, i.Name = w, domain.NewID(w, name), name
		c := eventstore.Commit{Workspace: w, ID: i.ID, Event: domain.IntegrationCreated{Integration: i}, Meta: meta(fmt.Sprint("c", n))}
		var err error
		c.Position, err = s.Append(t.Context(), w, i.ID, last[i.ID], c.Event, c.Meta)
		require.NoError(t, err)
		last[i.ID] = c.Position
		all = append(all, c)
	}
	return all
}

func selected(all []eventstore.Commit, of eventstore.Selection, within func(uint64) bool) []eventstore.Commit {
	return slices.DeleteFunc(slices.Clone(all), func(c eventstore.Commit) bool {
		return of.Workspace != "" && c.Workspace != of.Workspace || of.ID != "" && c.ID != of.ID || !within(c.Position)
	})
}

func TestAPageIsARangeOfTheSelectedEvents(t *testing.T) {
	t.Parallel()
	s := open(t, natstest.Connect(t))
	all := busy(t, s, 700)
	rapid.Check(t, func(t *rapid.T) {
		of := rapid.SampledFrom([]eventstore.Selection{
			{}, {Workspace: "acme"}, {Workspace: "busy"}, {Workspace: "rare"}, {Workspace: "nobody"}, {Workspace: "acme", ID: domain.NewID("acme", "crm-1")},
		}).Draw(t, "of")
		at := rapid.Uint64Range(0, 710).Draw(t, "at")
		limit := rapid.SampledFrom([]int{1, 2, 50, 600}).Draw(t, "limit")

		want := selected(all, of, func(p uint64) bool { return p > at })
		got, more, err := s.Page(context.Background(), of, at, limit)
		require.NoError(t, err)
		require.Equal(t, len(want) > limit, more)
		require.True(t, slices.EqualFunc(want[:min(limit, len(want))], got, same))

		want = selected(all, of, func(p uint64) bool { return at == 0 || p < at })
		slices.Reverse(want)
		got, more, err = s.PageBefore(context.Background(), of, at, limit)
		require.NoError(t, err)
		require.Equal(t, len(want) > limit, more)
		require.True(t, slices.EqualFunc(want[:min(limit, len(want))], got, same))
	})
}

func same(a, b eventstore.Commit) bool {
	return a.Position == b.Position && a.ID == b.ID && a.Meta == b.Meta && b.Event != nil && b.Err == nil
}

func TestATailOfAWorkspaceYieldsNoEventsOfOthers(t *testing.T) {
	nc := natstest.Connect(t)
	s := open(t, nc)
	all := busy(t, s, 40)
	reader, err := eventstore.Attach(t.Context(), nc, 0)
	require.NoError(t, err)
	want := selected(all, eventstore.Selection{Workspace: "acme"}, func(p uint64) bool { return p > 5 })
	var got []eventstore.Commit
	for commits, err := range reader.AfterIn(t.Context(), eventstore.Selection{Workspace: "acme"}, 5) {
		require.NoError(t, err)
		if got = append(got, commits...); len(got) >= len(want) {
			break
		}
	}
	require.True(t, slices.EqualFunc(want, got, same))
}

func TestReadersAttachToAnExistingLog(t *testing.T) {
	_, err := eventstore.Attach(t.Context(), natstest.Connect(t), 0)
	require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
}

func TestAPageWithoutNATSIsUnavailable(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	t.Parallel()
	address, stop := natstest.ListenOn(t, t.TempDir(), "127.0.0.1:0")
	nc, err := nats.Connect(address)
	require.NoError(t, err)
	defer nc.Close()
	s := openFor(t, nc, 5*time.Second)
	stop()
	_, _, err = s.Page(t.Context(), eventstore.Selection{}, 0, 10)
	require.Equal(t, domain.Unavailable, domain.KindOf(err))
	_, _, err = s.PageBefore(t.Context(), eventstore.Selection{}, 9, 10)
	require.Equal(t, domain.Unavailable, domain.KindOf(err))
}

// A message that was published with the header in which a server names a position would be read
// for ever.
func TestAMessageThatNamesAnotherPositionEndsAReading(t *testing.T) {
	t.Parallel()
	nc := natstest.Connect(t)
	s := open(t, nc)
	last := appendTo(t, s, 0, domain.IntegrationCreated{Integration: crm(1)}, "c1")
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	first, err := js.Stream(t.Context(), "INTEGRATIONS")
	require.NoError(t, err)
	stored, err := first.GetMsg(t.Context(), last)
	require.NoError(t, err)
	again := nats.NewMsg(stored.Subject)
	again.Data, again.Header = stored.Data, nats.Header{"Nats-Sequence": {"1"}}
	for _, name := range []string{"ce-id", "ce-type", "ce-time"} {
		again.Header[name] = stored.Header[name]
	}
	_, err = js.PublishMsg(t.Context(), again)
	require.NoError(t, err)
	_, err = s.Next(t.Context(), "acme", crm(1).ID, last)
	require.Equal(t, domain.Unavailable, domain.KindOf(err))
	require.ErrorContains(t, errors.Unwrap(err), "another position")
	_, _, err = s.Page(t.Context(), eventstore.Selection{Workspace: "acme"}, 0, 10)
	require.ErrorContains(t, errors.Unwrap(err), "another position")
}
