package eventstore_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// A search finds the same event as reading everything, wherever the events of the
// integration are, and also when some are unreadable.
func TestASearchFindsTheSameEventAsAWalk(t *testing.T) {
	nc := natstest.Connect(t)
	s := open(t, nc)
	id := crm(1).ID
	var walked []eventstore.Commit // the events of one integration, oldest first
	last, other := uint64(0), uint64(0)
	for n := range 120 {
		switch {
		case rand.IntN(2) == 0:
			i := crm(1)
			i.Name = "other"
			i.ID = domain.NewID("acme", "other")
			var err error
			other, err = s.Append(t.Context(), "acme", i.ID, other, domain.IntegrationUpdated{Integration: i}, meta(fmt.Sprint("o", n)))
			require.NoError(t, err)
		case rand.IntN(10) == 0: // by a future version
			_, err := nc.RequestMsg(&nats.Msg{Subject: "integrations.acme." + string(id), Header: nats.Header{"ce-type": {"integration.improved.v1"}}}, 5e9)
			require.NoError(t, err)
			c, err := s.Next(t.Context(), "acme", id, last)
			require.NoError(t, err)
			require.Error(t, c.Err)
			last = c.Position
		default:
			last = appendTo(t, s, last, domain.IntegrationUpdated{Integration: crm(uint64(len(walked) + 1))}, fmt.Sprint("c", n))
			c, err := s.Load(t.Context(), "acme", id)
			require.NoError(t, err)
			walked = append(walked, c)
		}
	}
	for n, want := range walked {
		got, err := s.Search(t.Context(), "acme", id, func(c eventstore.Commit) bool { return eventstore.VersionOf(c) >= uint64(n+1) })
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	none, err := s.Search(t.Context(), "acme", id, func(eventstore.Commit) bool { return false })
	require.NoError(t, err)
	require.Zero(t, none)
	head, err := s.Head(t.Context())
	require.NoError(t, err)
	for position := range head + 3 {
		var want eventstore.Commit
		for _, c := range walked {
			if c.Position < position {
				want = c
			}
		}
		got, err := s.Before(t.Context(), "acme", id, position)
		require.NoError(t, err)
		require.Equal(t, want, got, position)
	}
}
