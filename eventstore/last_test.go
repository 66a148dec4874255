package eventstore_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
)

func TestTheLastEventInMemoryIsOneOfThisLog(t *testing.T) {
	nc := natstest.Connect(t)
	s, other := open(t, nc), open(t, nc)
	id := domain.NewID("acme", "crm")
	created := func(version uint64) domain.IntegrationCreated {
		return domain.IntegrationCreated{Integration: domain.Integration{Workspace: "acme", ID: id, Version: version, CreatedAt: noon, UpdatedAt: noon}}
	}
	_, known := s.Recent("acme", id)
	require.False(t, known)
	first, err := s.Append(t.Context(), "acme", id, 0, created(1), meta("first"))
	require.NoError(t, err)
	last, known := s.Recent("acme", id)
	require.True(t, known)
	loaded, err := s.Load(t.Context(), "acme", id)
	require.NoError(t, err)
	require.Equal(t, loaded, last, "what is handed on is what is read")

	second, err := other.Append(t.Context(), "acme", id, first, created(2), meta("second"))
	require.NoError(t, err)
	last, mayLag, err := s.LoadRecent(t.Context(), "acme", id)
	require.NoError(t, err)
	require.True(t, mayLag)
	require.Equal(t, first, last.Position)
	_, err = s.Append(t.Context(), "acme", id, last.Position, created(2), meta("third"))
	require.ErrorIs(t, err, eventstore.ErrConflict)
	last, known = s.Recent("acme", id)
	require.True(t, known)
	require.Equal(t, second, last.Position, "it was read again")

	require.NoError(t, s.Begin(t.Context(), eventstore.Epoch{Reason: eventstore.Loss, Began: time.Now()}, 0, ""))
	_, known = s.Recent("acme", id)
	require.False(t, known, "the log may have other events at its positions")
}

func TestALastEventIsForgottenWhenTheConnectionWasLost(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	server := natstest.Spawn(t, t.TempDir(), true)
	nc, err := nats.Connect(server.URL, nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	s := open(t, nc)
	out := appendMany(t.Context(), s, named("crm", 1), nothing)
	require.NoError(t, out[0].err)
	_, known := s.Recent("acme", out[0].id)
	require.True(t, known)
	server.Kill()
	server.Start()
	require.Eventually(t, func() bool { _, known := s.Recent("acme", out[0].id); return !known }, time.Minute, time.Millisecond)
}
