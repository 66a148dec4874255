package transparency_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/transparency"
)

// exportOf returns an export of messages of some 600 bytes.
func exportOf(tb testing.TB, count int) []byte {
	tb.Helper()
	key, err := transparency.NewKey(bytes.Repeat([]byte{7}, 32))
	require.NoError(tb, err)
	entries := make([]transparency.Entry, count)
	var tree transparency.Range
	for n := range entries {
		entries[n] = transparency.Entry{
			Subject: "integrations.acme.crm", Position: uint64(n) + 1, Time: time.Unix(1_800_000_000, int64(n)),
			Headers: map[string][]string{"ce-id": {fmt.Sprint(n)}, "ce-type": {"integration.updated.v1"}, "ce-actor": {"key-ann"}, "ce-time": {"2026-11-30T16:01:36.269985Z"}},
			Data:    fmt.Appendf(nil, `{"state": {"name": "crm", "version": %d, "text": "%0500d"}}`, n, n),
		}
		require.NoError(tb, tree.Add(entries[n].Leaf(), 1))
	}
	signed, err := key.Sign(transparency.Checkpoint{Origin: transparency.OriginOf(transparency.Integrations, "A"), Size: uint64(count), Root: tree.Root()})
	require.NoError(tb, err)
	var export bytes.Buffer
	w, err := transparency.NewExportWriter(&export, transparency.Header{Log: transparency.Integrations, Checkpoint: signed.Note, PublicKey: key.Public()})
	require.NoError(tb, err)
	for _, e := range entries {
		require.NoError(tb, w.Entry(e))
	}
	return export.Bytes()
}

func BenchmarkVerify(b *testing.B) {
	export := exportOf(b, 10_000)
	b.SetBytes(int64(len(export)))
	b.ReportAllocs()
	for b.Loop() {
		report, err := transparency.Verify(bytes.NewReader(export), nil, nil)
		require.NoError(b, err)
		require.Empty(b, report.Findings)
	}
}
