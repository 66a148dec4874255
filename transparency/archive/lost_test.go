package archive_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/transparency"
	"github.com/seed677028b5/integrations/transparency/archive"
	"github.com/seed677028b5/integrations/transparency/trees"
)

// A shortened is a log that lost its end: a stream with the first messages of one.
type shortened struct {
	*archivist

	tree trees.State // when the log ended there
}

// newShortened archives 150 messages of a log that then ends at position 100.
func newShortened(t *testing.T, log transparency.Log) *shortened {
	t.Helper()
	a := newArchivist(t, log)
	a.record(100, 0)
	s := &shortened{archivist: a}
	var err error
	s.tree, err = a.reader.Trees.State(t.Context(), log)
	require.NoError(t, err)
	kept := jetstream.StreamConfig{Name: "KEPT", AllowDirect: true}
	mirror := kept
	mirror.Mirror = &jetstream.StreamSource{Name: stream}
	copied, err := a.js.CreateStream(t.Context(), mirror)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		info, err := copied.Info(t.Context())
		return err == nil && info.State.LastSeq == 100
	}, time.Minute, 5*time.Millisecond)
	_, err = a.js.UpdateStream(t.Context(), kept) // which ends the copying
	require.NoError(t, err)
	a.record(50, 0)
	_, err = a.write()
	require.NoError(t, err)
	a.reader = &trees.Reader{Events: a.reader.Events, Trees: a.reader.Trees, Key: a.reader.Key, Streams: map[transparency.Log]string{log: "KEPT"}}
	return s
}

// store stores a tree as that of the log that lost its end.
func (s *shortened) store(tree trees.State) {
	s.t.Helper()
	bounds, err := s.reader.Events.Bounds(s.t.Context(), "KEPT")
	require.NoError(s.t, err)
	tree.Identity = trees.Identity(s.reader.Events.Lineage(), s.Log, bounds)
	data, err := json.Marshal(tree)
	require.NoError(s.t, err)
	_, err = s.js.Publish(s.t.Context(), "trees."+string(s.Log)+".state", data)
	require.NoError(s.t, err)
}

func TestTheEndThatALogLostIsFoundInTheArchive(t *testing.T) {
	t.Parallel()
	for _, log := range transparency.Logs() {
		t.Run(string(log), func(t *testing.T) {
			t.Parallel()
			s := newShortened(t, log)
			tree, err := s.reader.Trees.State(t.Context(), log)
			require.NoError(t, err)
			s.store(tree)
			require.Equal(t, archive.Compared{
				Log: log, Position: 150, Events: 100, OnlyArchive: 50, Problems: []string{string(log) + ": positions 101 to 150 are missing from the log; the archive has them"},
			}, s.compare())
		})
	}
}

func TestMessagesThatExpiredBeforeTheEndThatALogLostAreNoProblem(t *testing.T) {
	t.Parallel()
	s := newShortened(t, transparency.Calls)
	tree, err := s.reader.Trees.State(t.Context(), s.Log)
	require.NoError(t, err)
	s.store(tree)
	kept, err := s.js.Stream(t.Context(), "KEPT")
	require.NoError(t, err)
	require.NoError(t, kept.Purge(t.Context()))
	require.Equal(t, []string{"calls: positions 101 to 150 are missing from the log; the archive has them"}, s.compare().Problems)
}

// NATS can lose the end of a log and of its tree at once: then only what is elsewhere shows it.
func TestTheEndThatALogAndItsTreeLostIsFoundInTheArchive(t *testing.T) {
	t.Parallel()
	s := newShortened(t, transparency.Integrations)
	s.store(s.tree)
	c := s.compare()
	require.Equal(t, []uint64{100, 50}, []uint64{c.Events, c.OnlyArchive})
	require.Len(t, c.Problems, 2)
	require.Contains(t, c.Problems[0], "the archive has 150 positions of integrations, and the log only 100 that are signed: the log has lost its end")
	require.Contains(t, c.Problems[1], "positions 101 to 150 are missing from the log; the archive has them")
}

// The service signs nothing then, so to start it is no advice.
func TestALogThatLostItsEndIsNotArchived(t *testing.T) {
	t.Parallel()
	s := newShortened(t, transparency.Integrations)
	_, err := s.write()
	require.ErrorIs(t, err, trees.ErrShorter)
	require.ErrorContains(t, err, "100 positions, and a checkpoint was signed for 150; run integrations verify")
}
