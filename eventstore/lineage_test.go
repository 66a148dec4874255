package eventstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
)

func TestAPositionBelongsToOneLog(t *testing.T) {
	l := eventstore.Lineage{Epochs: []eventstore.Epoch{
		{ID: "first", Reason: eventstore.Created},
		{ID: "second", After: 100, Probes: 7, Reason: eventstore.RestoredFromBackup},
		{ID: "third", After: 80, Probes: 9, Reason: eventstore.Loss},
	}}
	require.Equal(t, "third", l.ID())
	for _, c := range []struct {
		log      string
		position uint64
		at       uint64
		same     bool
	}{
		{"third", 5_000, 5_000, true},
		{"second", 80, 80, true},
		{"second", 81, 80, false},
		{"first", 80, 80, true},
		{"first", 90, 80, false},
		{"first", 300, 80, false},
		{"", 80, 80, true}, // stored before logs had an identity
		{"", 300, 80, false},
		{"another", 3, 0, false},
	} {
		at, same := l.Locate(c.log, c.position)
		require.Equal(t, c.at, at, "%+v", c)
		require.Equal(t, c.same, same, "%+v", c)
	}
	at, same := l.LocateProbe("first", 8)
	require.Equal(t, uint64(7), at)
	require.False(t, same)
}

// Two readers of one store each save a position, and the log gets a new identity.
func TestASubscriberContinuesWhereBothLogsAreTheSame(t *testing.T) {
	nc := natstest.Connect(t)
	s := open(t, nc)
	spread(t, s, 0, 9, "acme")
	require.NoError(t, s.SavePosition(t.Context(), "early", s.Lineage().ID(), 4))
	require.NoError(t, s.SavePosition(t.Context(), "late", s.Lineage().ID(), 9))
	require.NoError(t, s.Begin(t.Context(), eventstore.Epoch{After: 6, Reason: eventstore.RestoredFromBackup}, 0, ""))
	for name, want := range map[string]uint64{"early": 4, "late": 6} {
		at, known, err := s.Position(t.Context(), name)
		require.NoError(t, err)
		require.True(t, known)
		require.Equal(t, want, at, name)
	}
	require.NoError(t, s.SavePosition(t.Context(), "late", s.Lineage().ID(), 8))
	at, _, err := open(t, nc).Position(t.Context(), "late")
	require.NoError(t, err)
	require.Equal(t, uint64(8), at, "a position of this log stays as it was saved")
}

func TestAPositionBeyondTheLogIsItsEnd(t *testing.T) {
	s := open(t, natstest.Connect(t))
	spread(t, s, 0, 3, "acme")
	require.NoError(t, s.SavePosition(t.Context(), "reader", s.Lineage().ID(), 700))
	at, _, err := s.Position(t.Context(), "reader")
	require.NoError(t, err)
	require.Equal(t, uint64(3), at)
}

func TestALogKeepsItsIdentity(t *testing.T) {
	nc := natstest.Connect(t)
	first := open(t, nc).Lineage()
	require.NotEmpty(t, first.ID())
	require.Equal(t, first, open(t, nc).Lineage())
}

func TestANamedPositionIsValidInOneLogOnly(t *testing.T) {
	first := eventstore.Lineage{Epochs: []eventstore.Epoch{{ID: "AAAAAAAABBBB"}}}
	require.Equal(t, "12", first.Name(12))
	second := eventstore.Lineage{Epochs: append(first.Epochs, eventstore.Epoch{ID: "CCCCCCCCDDDD", After: 10})}
	require.Equal(t, "12-CCCCCCCC", second.Name(12))
	for text, want := range map[string]uint64{"10": 10, "10-AAAAAAAA": 10, "12-CCCCCCCC": 12, "0": 0} {
		at, err := second.Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, at)
	}
	for text, code := range map[string]string{
		"12": "position_unknown", "11-AAAAAAAA": "position_unknown", "3-EEEEEEEE": "position_unknown", "3-C": "position_unknown",
		"": "position_invalid", "x": "position_invalid", "-1": "position_invalid",
	} {
		_, err := second.Parse(text)
		refusal, ok := errors.AsType[*domain.Error](err)
		require.True(t, ok, text)
		require.Equal(t, code, refusal.Code, text)
	}
}

func TestASubscriptionFromBeforeARestoreGetsTheEventsAfterIt(t *testing.T) {
	l := eventstore.Lineage{Epochs: []eventstore.Epoch{{ID: "first"}, {ID: "second", After: 10, Probes: 4, Began: noon}}}
	require.Equal(t, uint64(10), l.Since(noon.Add(-time.Hour), 25))
	require.Equal(t, uint64(5), l.Since(noon.Add(-time.Hour), 5))
	require.Equal(t, uint64(25), l.Since(noon.Add(time.Hour), 25))
	require.Equal(t, uint64(4), l.ProbesSince(noon.Add(-time.Hour), 25))
}
