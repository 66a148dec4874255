package archive_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/transparency"
)

// edit changes the lines of a segment, and returns what restores it.
func (a *archivist) edit(file string, change func(line string) string) (restore func()) {
	a.t.Helper()
	good, err := os.ReadFile(file)
	require.NoError(a.t, err)
	decoder, err := zstd.NewReader(nil)
	require.NoError(a.t, err)
	defer decoder.Close()
	text, err := decoder.DecodeAll(good, nil)
	require.NoError(a.t, err)
	lines := strings.Split(string(text), "\n")
	for n := range lines {
		lines[n] = change(lines[n])
	}
	encoder, err := zstd.NewWriter(nil)
	require.NoError(a.t, err)
	write := func(data []byte) {
		require.NoError(a.t, os.Chmod(file, 0o600))
		require.NoError(a.t, os.WriteFile(file, data, 0o600))
	}
	write(encoder.EncodeAll([]byte(strings.Join(lines, "\n")), nil))
	require.NoError(a.t, encoder.Close())
	return func() { write(good) }
}

// hashed has the hash of a message in its place, which needs no key and leaves the tree as it is.
func hashed(t *testing.T, position uint64) func(string) string {
	return func(text string) string {
		if !strings.HasPrefix(text, `{"entry":`) {
			return text
		}
		var line struct {
			Entry struct {
				Position uint64 `json:"position"`
			} `json:"entry"`
			Leaf transparency.Hash `json:"leaf"`
		}
		require.NoError(t, json.Unmarshal([]byte(text), &line))
		if line.Entry.Position != position {
			return text
		}
		covered, err := json.Marshal(map[string]transparency.Covered{"covered": {From: position, To: position, Hash: line.Leaf}})
		require.NoError(t, err)
		return string(covered)
	}
}

// removed requires that every reader refuses the archive.
func (a *archivist) removed(held string, fault transparency.Fault, last bool) {
	a.t.Helper()
	_, err := a.positions(0)
	require.Error(a.t, err)
	report := a.verify(held)
	require.Len(a.t, report.Findings, 1)
	require.Equal(a.t, fault, report.Findings[0].Fault, report.Findings[0].Detail)
	if last {
		_, err = a.write()
		require.Error(a.t, err, "an archive is not continued behind it")
	}
}

func TestAMessageInWhosePlaceAHashStandsIsFound(t *testing.T) {
	t.Parallel()
	for _, log := range transparency.Logs() {
		t.Run(string(log), func(t *testing.T) {
			t.Parallel()
			a := newArchivist(t, log)
			a.record(150, 0)
			if log.Expires() {
				of, err := a.js.Stream(t.Context(), stream)
				require.NoError(t, err)
				require.NoError(t, of.Purge(t.Context(), jetstream.WithPurgeSequence(70)))
			}
			done, err := a.write()
			require.NoError(t, err)
			require.Empty(t, a.verify(done.Checkpoint).Findings)
			for _, position := range []uint64{1, 64, 70, 71, 100, 128, 129, 150} {
				if position < 70 && log.Expires() {
					continue
				}
				restore := a.edit(a.files()[(position-1)/64], hashed(t, position))
				a.removed(done.Checkpoint, transparency.Removed, position > 128)
				restore()
			}
			got, err := a.positions(0)
			require.NoError(t, err)
			require.EqualValues(t, done.Events, len(got))
		})
	}
}

// The tree of a checkpoint that anybody may fetch is that of the segment, but it does not say which
// messages the segment has.
func TestAPlainCheckpointIsNoneOfASegment(t *testing.T) {
	t.Parallel()
	a := newArchivist(t, transparency.Integrations)
	a.record(20, 0)
	done, err := a.write()
	require.NoError(t, err)
	state, err := a.reader.Trees.State(t.Context(), a.Log)
	require.NoError(t, err)
	header, err := json.Marshal(map[string]transparency.Header{"transparency": {Log: a.Log, Checkpoint: state.Note, PublicKey: a.reader.Key.Public()}})
	require.NoError(t, err)
	hash := hashed(t, 9)
	a.edit(a.files()[0], func(line string) string {
		if strings.HasPrefix(line, `{"transparency":`) {
			return string(header)
		}
		return hash(line)
	})
	_, err = a.positions(0)
	require.ErrorContains(t, err, "its name is that of another segment")
	_, err = a.write()
	require.ErrorContains(t, err, "its name is that of another segment")
	require.ErrorContains(t, a.Export(t.Context(), new(strings.Builder)), "its name is that of another segment")
	require.NotEmpty(t, done.Checkpoint)
}

// A segment under the name of an earlier one would have hashes for all that was there.
func TestASegmentUnderAnotherNameIsRefused(t *testing.T) {
	t.Parallel()
	a := newArchivist(t, transparency.Integrations)
	a.record(100, 0)
	_, err := a.write()
	require.NoError(t, err)
	files := a.files()
	require.Len(t, files, 2)
	one, err := os.ReadFile(files[0])
	require.NoError(t, err)
	two, err := os.ReadFile(files[1])
	require.NoError(t, err)
	require.NoError(t, os.Chmod(files[0], 0o600))
	require.NoError(t, os.WriteFile(files[0], append(one, two...), 0o600))
	_, err = a.positions(0)
	require.Error(t, err, "a segment is in another one as well")
	require.NoError(t, os.Rename(files[1], files[0]))
	_, err = a.positions(0)
	require.ErrorContains(t, err, "its name is that of another segment")
	require.ErrorContains(t, a.Export(t.Context(), new(strings.Builder)), "its name is that of another segment")
}

func TestApprovalsThatWereLostAreNotArchivedAsHashes(t *testing.T) {
	t.Parallel()
	a := newArchivist(t, transparency.Approvals)
	a.record(5, 0)
	of, err := a.js.Stream(t.Context(), stream)
	require.NoError(t, err)
	require.NoError(t, of.DeleteMsg(t.Context(), 3))
	_, err = a.write()
	require.ErrorContains(t, err, "position 3 is missing from the log approvals")
	require.Empty(t, a.files())
}
