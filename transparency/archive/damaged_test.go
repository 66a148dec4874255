package archive_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/transparency"
	"github.com/seed677028b5/integrations/transparency/archive"
)

// entries returns lines of an export without its header.
func entries(t *testing.T, all ...transparency.Entry) string {
	t.Helper()
	var export bytes.Buffer
	w, err := transparency.NewExportWriter(&export, transparency.Header{})
	require.NoError(t, err)
	require.NoError(t, w.Entries(all))
	_, lines, _ := strings.Cut(export.String(), "\n")
	return strings.TrimSuffix(lines, "\n")
}

// Whoever can write to the archive can write anything behind a header that was signed: it must not
// take all memory before the end of the segment, where its checkpoint is compared.
func TestASegmentWithMoreThanOneMayHaveIsNotReadToItsEnd(t *testing.T) {
	t.Parallel()
	a := newArchivist(t, transparency.Integrations)
	a.record(200, 0)
	w := archive.Writing{Archive: a.Archive, From: a.reader, Before: time.Now().Add(time.Hour), Progress: func(_, _ uint64) {}}
	_, err := w.Run(t.Context())
	require.NoError(t, err)
	large := strings.Repeat("a", 1<<20)
	for what, of := range map[string]transparency.Entry{
		"data":    {Subject: "s", Data: []byte(large)},
		"headers": {Subject: "s", Headers: map[string][]string{"x": {large}}, Data: []byte("{}")},
	} {
		all := make([]transparency.Entry, 66)
		for n := range all {
			all[n] = of
			all[n].Position = uint64(n) + 1
		}
		lines := entries(t, all...)
		first := true
		restore := a.edit(a.files()[0], func(line string) string {
			if strings.HasPrefix(line, `{"transparency":`) {
				return line
			}
			if first {
				first = false
				return lines
			}
			return ""
		})
		_, err := a.positions(0)
		require.ErrorContains(t, err, "00000000000000000001.ndjson.zst of the archive: its messages up to position 64 have more than 64 MiB", what)
		restore()
	}
}

func TestHeadersCountAmongTheBytesThatASegmentMayHave(t *testing.T) {
	t.Parallel()
	a := newArchivist(t, transparency.Integrations)
	for n := range 20 {
		_, err := a.js.PublishMsg(t.Context(), &nats.Msg{Subject: "log.acme.1", Header: nats.Header{"x": {strings.Repeat("a", 60<<10)}}, Data: fmt.Append(nil, n)})
		require.NoError(t, err)
	}
	a.record(1, 0)
	done, err := a.write()
	require.NoError(t, err)
	require.Equal(t, 2, done.Segments)
}

// The messages of an earlier segment lead to the same tree as their hash does.
func TestASegmentWithMessagesOfAnEarlierOneIsRefused(t *testing.T) {
	t.Parallel()
	a := newArchivist(t, transparency.Integrations)
	a.record(100, 0)
	_, err := a.write()
	require.NoError(t, err)
	var earlier []transparency.Entry
	for s, err := range a.Segments(t.Context(), a.key(), 0) {
		require.NoError(t, err)
		if s.From == 1 {
			earlier = s.Entries
		}
	}
	require.Len(t, earlier, 64)
	lines := entries(t, earlier...)
	a.edit(a.files()[1], func(line string) string {
		if strings.HasPrefix(line, `{"covered":`) {
			return lines
		}
		return line
	})
	_, err = a.positions(64)
	require.ErrorContains(t, err, "it has a message of another segment, at position 1")
}

func TestAnEmptySegmentIsDamaged(t *testing.T) {
	t.Parallel()
	a := newArchivist(t, transparency.Integrations)
	a.record(150, 0)
	_, err := a.write()
	require.NoError(t, err)
	files := a.files()
	require.Len(t, files, 3)
	for what, data := range map[string]string{"no bytes": "", "a frame that is skipped": "\x50\x2a\x4d\x18\x04\x00\x00\x00skip"} {
		for _, file := range files {
			good, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, os.Chmod(file, 0o600))
			require.NoError(t, os.WriteFile(file, []byte(data), 0o600))
			require.ErrorContains(t, a.Export(t.Context(), new(strings.Builder)), ".ndjson.zst of the archive: it is empty", what)
			_, err = a.positions(0)
			require.ErrorContains(t, err, ".ndjson.zst of the archive: it is empty", what)
			require.NoError(t, os.WriteFile(file, good, 0o600))
		}
	}
	require.NoError(t, a.Export(t.Context(), new(strings.Builder)))
}

func TestAFolderInThePlaceOfASegmentIsNamed(t *testing.T) {
	t.Parallel()
	a := newArchivist(t, transparency.Integrations)
	a.record(150, 0)
	_, err := a.write()
	require.NoError(t, err)
	require.Len(t, a.files(), 3)
	for _, file := range a.files() { // the last one too, which nothing after it shows to be missing
		good, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.Remove(file))
		require.NoError(t, os.Mkdir(file, 0o700))
		_, err = a.positions(0)
		require.ErrorContains(t, err, filepath.Base(file)+" is a folder, in the place of a segment")
		require.ErrorContains(t, a.Export(t.Context(), new(strings.Builder)), filepath.Base(file)+" is a folder, in the place of a segment")
		_, err = a.write()
		require.ErrorContains(t, err, filepath.Base(file)+" is a folder, in the place of a segment")
		require.NoError(t, os.Remove(file))
		require.NoError(t, os.WriteFile(file, good, 0o600))
	}
}
