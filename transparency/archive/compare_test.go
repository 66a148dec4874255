package archive_test

import (
	"os"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/objects"
	"github.com/seed677028b5/integrations/transparency"
	"github.com/seed677028b5/integrations/transparency/archive"
)

// compare compares the log with the archive.
func (a *archivist) compare() archive.Compared {
	a.t.Helper()
	var reached uint64
	c, err := a.Compare(a.t.Context(), a.reader, func(position, _ uint64) { reached = position })
	require.NoError(a.t, err)
	require.Equal(a.t, c.Position, reached)
	return c
}

func (a *archivist) log() jetstream.Stream {
	a.t.Helper()
	of, err := a.js.Stream(a.t.Context(), stream)
	require.NoError(a.t, err)
	return of
}

func TestALogAndItsArchiveAreTheSame(t *testing.T) {
	t.Parallel()
	a := newArchivist(t, transparency.Integrations)
	a.record(150, 0)
	_, err := a.write()
	require.NoError(t, err)
	a.record(20, 0) // which are not archived
	require.Equal(t, archive.Compared{Log: a.Log, Position: 150, Events: 150, Problems: []string{}}, a.compare())
	logs, err := archive.Logs(t.Context(), a.Objects)
	require.NoError(t, err)
	require.Equal(t, []transparency.Log{a.Log}, logs)
}

func TestMessagesThatTheLogLostAreFoundInTheArchive(t *testing.T) {
	t.Parallel()
	for _, log := range transparency.Logs() {
		t.Run(string(log), func(t *testing.T) {
			t.Parallel()
			a := newArchivist(t, log)
			a.record(150, 0)
			_, err := a.write()
			require.NoError(t, err)
			for _, position := range []uint64{1, 2, 64, 65, 100, 150} {
				require.NoError(t, a.log().DeleteMsg(t.Context(), position))
			}
			want := archive.Compared{Log: log, Position: 150, Events: 144, OnlyArchive: 6, Problems: []string{}}
			if !log.Expires() {
				for _, lost := range []string{"1 to 2", "64 to 65", "100 to 100", "150 to 150"} {
					want.Problems = append(want.Problems, string(log)+": positions "+lost+" are missing from the log; the archive has them")
				}
			}
			require.Equal(t, want, a.compare())
		})
	}
}

func TestAnArchiveThatHasHashesOnlyIsNoProblem(t *testing.T) {
	t.Parallel()
	a := newArchivist(t, transparency.Calls)
	a.record(150, 0)
	require.NoError(t, a.log().Purge(t.Context(), jetstream.WithPurgeSequence(70)))
	_, err := a.write()
	require.NoError(t, err)
	require.Equal(t, archive.Compared{Log: a.Log, Position: 150, Events: 81, Problems: []string{}}, a.compare())
}

// A message of the log that is not the archived one is named, whatever the tree has.
func TestAMessageThatDiffersFromTheArchiveIsNamed(t *testing.T) {
	t.Parallel()
	a := newArchivist(t, transparency.Integrations)
	a.record(10, 0)
	_, err := a.write()
	require.NoError(t, err)
	created := a.log().CachedInfo().Config
	require.NoError(t, a.js.DeleteStream(t.Context(), stream))
	_, err = a.js.CreateStream(t.Context(), created)
	require.NoError(t, err)
	for range 10 { // at the positions of the first ones
		_, err := a.js.PublishMsg(t.Context(), &nats.Msg{Subject: "log.acme.1", Data: []byte("other")})
		require.NoError(t, err)
	}
	c := a.compare()
	require.Zero(t, c.Events)
	require.Len(t, c.Problems, 10)
	require.Equal(t, "integrations: position 1 differs: the log and the archive have different messages", c.Problems[0])
}

func TestAnArchiveThatWasChangedOrIsOfAnotherLogIsAProblem(t *testing.T) {
	t.Parallel()
	a, other := newArchivist(t, transparency.Integrations), newArchivist(t, transparency.Integrations)
	a.record(150, 0)
	_, err := a.write()
	require.NoError(t, err)
	problem := func(of *archivist, want string) {
		t.Helper()
		c := of.compare()
		require.Len(t, c.Problems, 1)
		require.Contains(t, c.Problems[0], want)
	}
	restore := a.edit(a.files()[1], hashed(t, 70))
	problem(a, "00000000000000000065.ndjson.zst of the archive")
	restore()
	good, err := os.ReadFile(a.files()[0])
	require.NoError(t, err)
	require.NoError(t, os.Remove(a.files()[0]))
	problem(a, "its first segment")
	require.NoError(t, os.WriteFile(a.folder+"/integrations/00000000000000000001.ndjson.zst", good, 0o600))
	require.Empty(t, a.compare().Problems)

	other.record(150, 1)
	other.Archive = a.Archive
	problem(other, "its first 150 positions are different")
}

func TestAFolderWithoutAnArchiveIsNamed(t *testing.T) {
	t.Parallel()
	empty, err := objects.Open(t.TempDir())
	require.NoError(t, err)
	_, err = archive.Logs(t.Context(), empty)
	require.ErrorContains(t, err, "there is no archive of any log here")
}
