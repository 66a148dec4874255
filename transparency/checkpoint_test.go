package transparency_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/seed677028b5/integrations/transparency"
)

func newKey(t *testing.T, seed byte) transparency.Key {
	t.Helper()
	key, err := transparency.NewKey(bytes.Repeat([]byte{seed}, 32))
	require.NoError(t, err)
	return key
}

func public(t *testing.T, key transparency.Key) []byte {
	t.Helper()
	parsed, err := transparency.ParseKey(key.Public())
	require.NoError(t, err)
	return parsed
}

func TestACheckpointIsASignedNoteThatOthersOpen(t *testing.T) {
	t.Parallel()
	key := newKey(t, 1)
	origin := transparency.OriginOf(transparency.Calls, "ABC-1")
	signed, err := key.Sign(transparency.Checkpoint{Origin: origin, Size: 17, Root: leafOf(1)})
	require.NoError(t, err)
	verifier, err := note.NewVerifier(key.Verifier(origin))
	require.NoError(t, err)
	opened, err := note.Open([]byte(signed.Note), note.VerifierList(verifier))
	require.NoError(t, err)
	require.Equal(t, "integrations/ABC-1/calls\n17\na4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s=\n", opened.Text)

	for _, form := range []string{key.Public(), key.Verifier(origin), " " + key.Public() + "\n"} {
		public, err := transparency.ParseKey(form)
		require.NoError(t, err)
		read, err := transparency.ParseCheckpoint(signed.Note, public)
		require.NoError(t, err)
		require.Equal(t, signed, read)
		require.Equal(t, transparency.Calls, read.Log())
	}
	_, err = transparency.ParseCheckpoint(signed.Note, public(t, newKey(t, 2)))
	require.ErrorIs(t, err, transparency.ErrOtherKey)
	for n := range len(signed.Note) { // each byte counts
		for _, flip := range []byte{1, 0x20, 0x80} {
			wrong := []byte(signed.Note)
			wrong[n] ^= flip
			_, err := transparency.ParseCheckpoint(string(wrong), public(t, key))
			require.Error(t, err, "%d: %q", n, wrong)
		}
	}
	_, err = transparency.ParseKey("none")
	require.Error(t, err)
	_, err = transparency.NewKey(nil)
	require.Error(t, err)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", key, key, key), "[1 1")
}

func TestAFileHasManyCheckpoints(t *testing.T) {
	t.Parallel()
	key := newKey(t, 1)
	var file []byte
	for n, log := range []transparency.Log{transparency.Calls, transparency.Integrations, transparency.Calls} {
		signed, err := key.Sign(transparency.Checkpoint{Origin: transparency.OriginOf(log, "A"), Size: uint64(30 - n), Root: leafOf(n)})
		require.NoError(t, err)
		file = append(file, signed.Note+"\n"...)
	}
	for _, text := range [][]byte{file, bytes.ReplaceAll(file, []byte("\n"), []byte("\r\n")), bytes.TrimSpace(file)} {
		if !bytes.HasSuffix(text, []byte("\n")) {
			text = append(text, '\n')
		}
		held, err := transparency.ParseHeld(text, public(t, key), transparency.Calls)
		require.NoError(t, err)
		require.Len(t, held, 2)
		require.Equal(t, uint64(28), held[0].Size)
		require.Equal(t, []uint64{30, 28}, transparency.HeldSizes(text, transparency.Calls))
	}
	_, err := transparency.ParseHeld(append(file, "more\n"...), public(t, key), transparency.Calls)
	require.ErrorContains(t, err, "checkpoint 4")
}

func TestAnEntryIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	for _, e := range []transparency.Entry{
		{Subject: "integrations.acme.x", Position: 1 << 60, Time: time.Unix(1, 123456789).UTC(), Headers: map[string][]string{"b": {"2", "1"}, "A": {"<>&  \""}}, Data: []byte(`{"a": "\u003c"}` + "\n")},
		{Subject: "s", Position: 1, Headers: map[string][]string{}, Time: time.Unix(0, 0).UTC(), Data: []byte{0xff, 0}},
		{Subject: "s", Position: 1, Headers: map[string][]string{}, Time: time.Unix(0, 0).UTC(), Data: []byte{}},
	} {
		text, err := json.Marshal(e)
		require.NoError(t, err)
		var read transparency.Entry
		require.NoError(t, json.Unmarshal(text, &read))
		require.Equal(t, e, read)
		require.Equal(t, e.Leaf(), read.Leaf())
	}
	_, err := json.Marshal(transparency.Entry{Headers: map[string][]string{"a": {"\xff"}}})
	require.Error(t, err)
	for _, wrong := range []string{`{"position": 1}`, `{"data": "", "data_base64": ""}`, `{"data": "", "other": 1}`, `{"data": 1}`} {
		require.Error(t, json.Unmarshal([]byte(wrong), &transparency.Entry{}), wrong)
	}
}

// A change of any part changes the leaf, and so does a byte that moves from one part to the next.
func TestEveryPartOfAnEntryIsPartOfItsHash(t *testing.T) {
	t.Parallel()
	base := func() transparency.Entry {
		return transparency.Entry{Subject: "ab", Position: 1, Time: time.Unix(5, 5), Headers: map[string][]string{"k": {"v", "w"}}, Data: []byte("data")}
	}
	seen := map[transparency.Hash]string{base().Leaf(): "base", transparency.MissingLeaf(1): "missing"}
	for name, change := range map[string]func(*transparency.Entry){
		"subject":      func(e *transparency.Entry) { e.Subject = "a" },
		"position":     func(e *transparency.Entry) { e.Position = 2 },
		"time":         func(e *transparency.Entry) { e.Time = e.Time.Add(1) },
		"data":         func(e *transparency.Entry) { e.Data = []byte("dat") },
		"header name":  func(e *transparency.Entry) { e.Headers = map[string][]string{"K": {"v", "w"}} },
		"header value": func(e *transparency.Entry) { e.Headers["k"][0] = "x" },
		"order":        func(e *transparency.Entry) { e.Headers["k"] = []string{"w", "v"} },
		"fewer":        func(e *transparency.Entry) { e.Headers["k"] = []string{"v"} },
		"moved":        func(e *transparency.Entry) { e.Headers["k"] = []string{"vw", ""} },
		"none":         func(e *transparency.Entry) { e.Headers = nil },
	} {
		e := base()
		change(&e)
		other, known := seen[e.Leaf()]
		require.False(t, known, "%s and %s", name, other)
		seen[e.Leaf()] = name
	}
}
