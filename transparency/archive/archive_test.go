package archive_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/internal/objects"
	"github.com/seed677028b5/integrations/transparency"
	"github.com/seed677028b5/integrations/transparency/archive"
	"github.com/seed677028b5/integrations/transparency/trees"
)

// archivist has a log with a tree, and its archive in a folder.
type archivist struct {
	t      *testing.T
	js     jetstream.JetStream
	reader *trees.Reader
	folder string
	archive.Archive
}

const stream = "LOG"

func newArchivist(t *testing.T, log transparency.Log) *archivist {
	t.Helper()
	nc := natstest.Connect(t)
	events, err := eventstore.Open(t.Context(), nc, eventstore.Config{AllowLazySync: true})
	require.NoError(t, err)
	store, err := trees.Open(t.Context(), nc, 1)
	require.NoError(t, err)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: stream, Subjects: []string{"log.>"}, AllowDirect: true})
	require.NoError(t, err)
	key, err := transparency.NewKey(bytes.Repeat([]byte{7}, 32))
	require.NoError(t, err)
	a := &archivist{t: t, js: js, folder: t.TempDir(), reader: &trees.Reader{Events: events, Trees: store, Key: key, Streams: map[transparency.Log]string{log: stream}}}
	to, err := objects.Open(a.folder)
	require.NoError(t, err)
	a.Archive = archive.Archive{Objects: to, Log: log}
	ctx, cancel := context.WithCancel(t.Context())
	f := &trees.Follower{Events: events, Trees: store, Streams: a.reader.Streams, Key: key, Log: slog.New(slog.DiscardHandler)}
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return a
}

// record stores messages of a size, and waits until they are signed.
func (a *archivist) record(count, size int) uint64 {
	a.t.Helper()
	var last jetstream.PubAckFuture
	for n := range count {
		var err error
		last, err = a.js.PublishMsgAsync(&nats.Msg{
			Subject: "log.acme.1", Header: nats.Header{"ce-id": {fmt.Sprint(n)}, "ce-type": {"x.v1"}}, Data: append(fmt.Appendf(nil, `{"n": %d}`, n), bytes.Repeat([]byte("x"), size)...),
		})
		require.NoError(a.t, err)
		if n%100 == 0 {
			<-a.js.PublishAsyncComplete()
		}
	}
	var position uint64
	select {
	case ack := <-last.Ok():
		position = ack.Sequence
	case err := <-last.Err():
		require.NoError(a.t, err)
	}
	require.Eventually(a.t, func() bool {
		s, err := a.reader.Trees.State(a.t.Context(), a.Log)
		return err == nil && s.Edge.Size >= position
	}, time.Minute, 5*time.Millisecond)
	return position
}

func (a *archivist) write() (archive.Written, error) {
	w := archive.Writing{Archive: a.Archive, From: a.reader, Before: time.Now().Add(time.Hour), Progress: func(_, _ uint64) {}}
	w.SetMax(64, 1<<20)
	return w.Run(a.t.Context())
}

func (a *archivist) key() []byte {
	key, err := transparency.ParseKey(a.reader.Key.Public())
	require.NoError(a.t, err)
	return key
}

// positions reads the archive after a position.
func (a *archivist) positions(after uint64) (all []uint64, err error) {
	for s, err := range a.Segments(a.t.Context(), a.key(), after) {
		if err != nil {
			return all, err
		}
		for _, e := range s.Entries {
			all = append(all, e.Position)
		}
	}
	return all, nil
}

func (a *archivist) verify(held string) transparency.Report {
	a.t.Helper()
	var export bytes.Buffer
	require.NoError(a.t, a.Export(a.t.Context(), &export))
	report, err := transparency.VerifyPart(&export, a.key(), []byte(held), nil)
	require.NoError(a.t, err)
	return report
}

// files returns the segments in the folder, in order.
func (a *archivist) files() []string {
	a.t.Helper()
	all, err := filepath.Glob(filepath.Join(a.folder, string(a.Log), "*"))
	require.NoError(a.t, err)
	return all
}

func TestAnArchiveGrowsWhereItEnds(t *testing.T) {
	t.Parallel()
	a := newArchivist(t, transparency.Integrations)
	_, err := a.positions(0)
	require.ErrorIs(t, err, archive.ErrEmpty)
	a.record(100, 0) // more than a segment has here
	first, err := a.write()
	require.NoError(t, err)
	require.Equal(t, []uint64{1, 100, 2, 100, 0}, []uint64{first.From, first.Position, uint64(first.Segments), first.Events, first.Hashes})
	held := first.Checkpoint
	nothing, err := a.write()
	require.NoError(t, err)
	require.Equal(t, []uint64{0, 100}, []uint64{nothing.From, nothing.Position})
	last := a.record(3, 0)
	second, err := a.write()
	require.NoError(t, err)
	require.Equal(t, []uint64{101, last, 1}, []uint64{second.From, second.Position, uint64(second.Segments)})
	require.Len(t, a.files(), 3)

	got, err := a.positions(99)
	require.NoError(t, err)
	require.Equal(t, []uint64{65, 66}, got[:2], "from the segment that has the next one")
	require.Equal(t, last, got[len(got)-1])
	got, err = a.positions(last)
	require.NoError(t, err)
	require.Empty(t, got)
	report := a.verify(held)
	require.Empty(t, report.Findings)
	require.Equal(t, []uint64{last, last, 0, 100}, []uint64{report.Size, report.Entries, report.Hashes, report.Unchanged})

	later := a.record(5, 0)
	state, err := a.reader.Trees.State(t.Context(), a.Log)
	require.NoError(t, err)
	require.Equal(t, later, state.Edge.Size)
	report = a.verify(held + "\n" + state.Note)
	require.Empty(t, report.Findings)
	require.Equal(t, []int{1, 1}, []int{report.Held, report.Skipped})
	report = a.verify(state.Note)
	require.Equal(t, transparency.Unchecked, report.Findings[0].Fault, "no checkpoint that it could be compared with")
}

func TestASegmentEndsWithTheBytesThatItMayHave(t *testing.T) {
	t.Parallel()
	a := newArchivist(t, transparency.Integrations)
	a.record(15, 100<<10)
	done, err := a.write()
	require.NoError(t, err)
	require.Equal(t, 2, done.Segments)
	got, err := a.positions(0)
	require.NoError(t, err)
	require.Len(t, got, 15)
}

func TestOnlyWhatIsOldIsArchived(t *testing.T) {
	t.Parallel()
	a := newArchivist(t, transparency.Integrations)
	a.record(5, 0)
	msg, err := a.reader.Events.Bounds(t.Context(), stream)
	require.NoError(t, err)
	m, found, err := a.reader.Events.MessageFrom(t.Context(), stream, 4)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, uint64(5), msg.Last)
	w := archive.Writing{Archive: a.Archive, From: a.reader, Before: m.Time, Progress: func(_, _ uint64) {}}
	done, err := w.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, uint64(3), done.Position)
}

func TestAnArchiveOfALogThatExpiresKeepsItsHashes(t *testing.T) {
	t.Parallel()
	a := newArchivist(t, transparency.Calls)
	a.record(10, 0)
	of, err := a.js.Stream(t.Context(), stream)
	require.NoError(t, err)
	require.NoError(t, of.Purge(t.Context(), jetstream.WithPurgeSequence(7)))
	done, err := a.write()
	require.NoError(t, err)
	require.Equal(t, []uint64{4, 6, 10}, []uint64{done.Events, done.Hashes, done.Position})
	require.Empty(t, a.verify(done.Checkpoint).Findings)
	got, err := a.positions(0)
	require.NoError(t, err)
	require.Equal(t, []uint64{7, 8, 9, 10}, got)
	require.NoError(t, of.Purge(t.Context()))
	again, err := a.positions(0)
	require.NoError(t, err)
	require.Equal(t, got, again, "the archive has what the log no longer has")
}

func TestEventsThatAreMissingOrChangedAreNotArchived(t *testing.T) {
	t.Parallel()
	a := newArchivist(t, transparency.Integrations)
	a.record(5, 0)
	of, err := a.js.Stream(t.Context(), stream)
	require.NoError(t, err)
	require.NoError(t, of.DeleteMsg(t.Context(), 3))
	_, err = a.write()
	require.ErrorContains(t, err, "missing from the log")
	require.Empty(t, a.files())
}

func TestAnArchiveThatWasChangedIsNotRead(t *testing.T) {
	t.Parallel()
	a := newArchivist(t, transparency.Integrations)
	a.record(3, 0)
	_, err := a.write()
	require.NoError(t, err)
	a.record(3, 0)
	_, err = a.write()
	require.NoError(t, err)
	a.record(3, 0)
	last, err := a.write()
	require.NoError(t, err)
	files := a.files()
	require.Len(t, files, 3)
	good := map[string][]byte{}
	for _, file := range files {
		good[file], err = os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.Chmod(file, 0o600))
	}
	restore := func() {
		for file, data := range good {
			require.NoError(t, os.WriteFile(file, data, 0o600))
		}
	}
	refused := func(what string) {
		t.Helper()
		_, err := a.positions(0)
		require.Error(t, err, what)
		restore()
	}
	for n := 0; n < len(good[files[1]]); n += 31 {
		changed := bytes.Clone(good[files[1]])
		changed[n] ^= 1
		require.NoError(t, os.WriteFile(files[1], changed, 0o600))
		if _, err := a.positions(0); err == nil { // a bit of the frame that means nothing
			got, err := a.positions(0)
			require.NoError(t, err)
			require.Len(t, got, 9)
		}
	}
	restore()
	require.NoError(t, os.Remove(files[1]))
	_, err = a.positions(0)
	require.ErrorContains(t, err, "the archive lacks the positions 4 to 6")
	require.Equal(t, transparency.Disordered, a.verify(last.Checkpoint).Findings[0].Fault)
	refused("a segment is gone")
	require.NoError(t, os.Remove(files[0]))
	refused("the first one is gone")
	require.NoError(t, os.WriteFile(files[2], good[files[1]], 0o600))
	refused("a segment is there twice")

	// The end of an archive can be missing unnoticed by itself: a held checkpoint shows it.
	require.NoError(t, os.Remove(files[2]))
	got, err := a.positions(0)
	require.NoError(t, err)
	require.Len(t, got, 6)
	require.Equal(t, transparency.Unchecked, a.verify(last.Checkpoint).Findings[0].Fault)
	restore()
	require.Empty(t, a.verify(last.Checkpoint).Findings)
}

func TestAnArchiveOfAnotherLogIsNotContinued(t *testing.T) {
	t.Parallel()
	a, other := newArchivist(t, transparency.Integrations), newArchivist(t, transparency.Integrations)
	a.record(4, 0)
	_, err := a.write()
	require.NoError(t, err)
	other.Archive, other.folder = a.Archive, a.folder
	other.record(2, 0)
	_, err = other.write()
	require.ErrorContains(t, err, "it is of another log")
	other.record(4, 0)
	_, err = other.write()
	require.ErrorContains(t, err, "its first 4 positions are different")
	require.Len(t, a.files(), 1)
}
