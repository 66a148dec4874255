package eventstore_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// last reads l to its end, and returns the last position of each integration.
func last(t *testing.T, l eventstore.Latest) map[domain.ID]uint64 {
	t.Helper()
	at, before := map[domain.ID]uint64{}, uint64(0)
	for batch, err := range l.Commits {
		require.NoError(t, err)
		for _, c := range batch {
			require.NoError(t, c.Err)
			require.Greater(t, c.Position, before)
			before = c.Position
			at[c.ID] = c.Position
		}
	}
	return at
}

func numbered(n int) domain.Integration {
	i := crm(1)
	i.Name = fmt.Sprint("crm-", n)
	i.ID = domain.NewID("acme", i.Name)
	return i
}

func TestTheLatestAreTheLastEventsOnly(t *testing.T) {
	s := open(t, natstest.Connect(t))
	l, err := s.Latest(t.Context())
	require.NoError(t, err)
	require.Zero(t, l.Position)
	require.Empty(t, last(t, l))

	const integrations, events = 700, 3 // more than a batch
	want := map[domain.ID]uint64{}
	for range events {
		for n := range integrations {
			i := numbered(n)
			at, err := s.Append(t.Context(), "acme", i.ID, want[i.ID], domain.IntegrationCreated{Integration: i}, meta(fmt.Sprint(i.Name, want[i.ID])))
			require.NoError(t, err)
			want[i.ID] = at
		}
	}
	l, err = s.Latest(t.Context())
	require.NoError(t, err)
	require.Equal(t, integrations, l.Known)
	require.EqualValues(t, integrations*events, l.Position)
	require.Equal(t, want, last(t, l))
}

func TestTheLatestMissNothingThatIsRecordedInTheMeantime(t *testing.T) {
	s := open(t, natstest.Connect(t))
	const integrations = 50
	for n := range integrations {
		_, err := s.Append(t.Context(), "acme", numbered(n).ID, 0, domain.IntegrationCreated{Integration: numbered(n)}, meta(numbered(n).Name))
		require.NoError(t, err)
	}
	stop := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		at := uint64(1)
		for n := 0; ; n++ { // the first of them changes all the time
			select {
			case <-stop:
				return
			default:
			}
			var err error
			if at, err = s.Append(t.Context(), "acme", numbered(0).ID, at, domain.IntegrationUpdated{Integration: numbered(0)}, meta(fmt.Sprint("u", n))); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 20 {
		l, err := s.Latest(t.Context())
		require.NoError(t, err)
		require.Len(t, last(t, l), integrations)
	}
	close(stop)
	writing.Wait()
}

func TestReadingTheLatestEndsThoughTheHeadWasDropped(t *testing.T) {
	nc := natstest.Connect(t)
	s := open(t, nc)
	for n := range 3 {
		_, err := s.RecordProbe(t.Context(), 0, domain.IntegrationProbed{ID: numbered(n).ID, Workspace: "acme", Incarnation: 1, Probe: domain.Probe{Status: domain.Healthy, At: noon}}, meta("p"))
		require.NoError(t, err)
	}
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	probes, err := js.Stream(t.Context(), "PROBES")
	require.NoError(t, err)
	require.NoError(t, probes.DeleteMsg(t.Context(), 3))
	l, err := s.LatestProbes(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, l.Position)
	require.Equal(t, map[domain.ID]uint64{numbered(0).ID: 1, numbered(1).ID: 2}, last(t, l))
	require.NoError(t, probes.Purge(t.Context()))
	l, err = s.LatestProbes(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, l.Position)
	require.Empty(t, last(t, l))
}

func TestReadingTheLatestPartlyLeavesNoConsumerBehind(t *testing.T) {
	nc := natstest.Connect(t)
	s := open(t, nc)
	appendTo(t, s, 0, domain.IntegrationCreated{Integration: crm(1)}, "c1")
	l, err := s.Latest(t.Context())
	require.NoError(t, err)
	for _, err := range l.Commits {
		require.NoError(t, err)
		break
	}
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		log, err := js.Stream(t.Context(), "INTEGRATIONS")
		return err == nil && log.CachedInfo().State.Consumers == 0
	}, time.Minute, time.Millisecond)
}

func TestADeadLetterIsRecordedOnceHoweverManyReportIt(t *testing.T) {
	nc := natstest.Connect(t)
	s := open(t, nc)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	subject := "integrations.acme." + string(crm(1).ID)
	var at []uint64
	for range 2 {
		ack, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: []byte("?"), Header: nats.Header{
			"ce-type": {"integration.renamed.v1"}, "Nats-Expected-Stream": {"INTEGRATIONS"}, "x-many": {"a", "b"},
		}})
		require.NoError(t, err)
		at = append(at, ack.Sequence)
	}
	for range 3 { // as after a restart, from the beginning
		for _, position := range at {
			var finding sync.WaitGroup
			for range 8 {
				finding.Go(func() {
					if err := s.DeadLetter(t.Context(), "acme", crm(1).ID, position, "unknown\r\nname"); err != nil {
						t.Error(err)
					}
				})
			}
			finding.Wait()
		}
	}
	letters, total, err := s.DeadLetters(t.Context(), 10)
	require.NoError(t, err)
	require.EqualValues(t, 2, total)
	require.Len(t, letters, 2)
	require.Equal(t, at[1], letters[0].Position)
	require.Equal(t, at[0], letters[1].Position)
	require.Equal(t, "unknown  name", letters[0].Reason)
	require.Equal(t, crm(1).ID, letters[0].ID)
	require.NotZero(t, letters[0].At)

	stream, err := js.Stream(t.Context(), "DEAD_LETTERS")
	require.NoError(t, err)
	kept, err := stream.GetLastMsgForSubject(t.Context(), "deadletters.acme."+string(crm(1).ID))
	require.NoError(t, err)
	require.Equal(t, "?", string(kept.Data))
	require.Equal(t, subject, kept.Header.Get("dead-subject"))
	require.Equal(t, "integration.renamed.v1", kept.Header.Get("original-ce-type"))
	require.Equal(t, []string{"a", "b"}, kept.Header["original-x-many"])
}

func TestADeadLetterThatWouldBeTooLargeOmitsTheData(t *testing.T) {
	nc := natstest.Connect(t)
	s := open(t, nc)
	reply, err := nc.Request("integrations.acme."+string(crm(1).ID), []byte(strings.Repeat("x", int(nc.MaxPayload()))), time.Minute)
	require.NoError(t, err)
	require.NotContains(t, string(reply.Data), "error")
	require.NoError(t, s.DeadLetter(t.Context(), "acme", crm(1).ID, 1, "too much"))
	letters, _, err := s.DeadLetters(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, letters, 1)
}
