package transparency_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/transparency"
)

func verified(t *testing.T, export []byte, held string) transparency.Report {
	t.Helper()
	report, err := transparency.Verify(bytes.NewReader(export), nil, []byte(held))
	require.NoError(t, err)
	require.Empty(t, report.Findings)
	return report
}

func TestTheFirstPositionThatDiffersIsNamed(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	honest := newLedger(t, random, 300)
	held := honest.checkpoint(100) + "\n" + honest.checkpoint(200) + "\n" + honest.checkpoint(250)
	all := []uint64{100, 200, 250}
	report := verified(t, honest.export("acme", all), held)
	require.Equal(t, uint64(250), report.Unchanged)
	require.Equal(t, uint64(300), report.Size)
	require.Equal(t, 3, report.Held)
	require.Equal(t, uint64(300), report.Entries+report.Hashes)
	require.NotZero(t, report.Hashes)

	edited := strings.Replace(string(honest.export("", nil)), `"n\": `, `"n\": 1`, 1)
	report, err := transparency.Verify(strings.NewReader(edited), nil, []byte(held))
	require.NoError(t, err)
	require.Equal(t, transparency.Finding{Fault: transparency.Edited, Position: 1, To: 1, Detail: "position 1 was edited after the export was written: its hash is another one"}, report.Findings[0])

	rewritten := honest.clone()
	rewritten.entries[149].Data = []byte("{}")
	rewritten.rehash()
	report, err = transparency.Verify(bytes.NewReader(rewritten.export("", all)), nil, []byte(held))
	require.NoError(t, err)
	require.Equal(t, uint64(100), report.Unchanged)
	require.Equal(t, transparency.Rewritten, report.Findings[0].Fault)
	require.Equal(t, []uint64{101, 200}, []uint64{report.Findings[0].Position, report.Findings[0].To})

	rewritten.entries = rewritten.entries[:220]
	rewritten.entries[149] = honest.entries[149]
	rewritten.rehash()
	report, err = transparency.Verify(bytes.NewReader(rewritten.export("", all)), nil, []byte(held))
	require.NoError(t, err)
	require.Equal(t, uint64(200), report.Unchanged)
	require.Equal(t, []uint64{221, 250}, []uint64{report.Findings[0].Position, report.Findings[0].To})
	require.Equal(t, transparency.Truncated, report.Findings[0].Fault)

	// Two checkpoints of one size that disagree can't both be of this log.
	forked := honest.clone()
	forked.entries[0].Data = []byte("{}")
	forked.rehash()
	report, err = transparency.Verify(bytes.NewReader(honest.export("", all)), nil, []byte(held+"\n"+forked.checkpoint(200)))
	require.NoError(t, err)
	require.Equal(t, transparency.Rewritten, report.Findings[0].Fault)
}

func TestAnExportThatPermitsNoComparisonIsNotCalledUnchanged(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	honest := newLedger(t, random, 300)
	for n := range honest.entries {
		honest.entries[n].Subject = "integrations.globex.1"
	}
	honest.rehash()
	held := honest.checkpoint(200)
	for name, row := range map[string]struct {
		export []byte
		held   string
		key    []byte
		fault  transparency.Fault
	}{
		"a hash across the size": {honest.export("acme", nil), held, nil, transparency.Unchecked},
		"of another log":         {honest.export("", nil), strings.ReplaceAll(held, "/integrations", "/calls"), nil, transparency.Unsigned},
		"another key":            {honest.export("", nil), held, public(t, newKey(t, 3)), transparency.Unsigned},
		"nonsense":               {honest.export("", nil), "nonsense", nil, transparency.Unsigned},
	} {
		report, err := transparency.Verify(bytes.NewReader(row.export), row.key, []byte(row.held))
		require.NoError(t, err)
		require.Equal(t, row.fault, report.Findings[0].Fault, name)
		require.Zero(t, report.Unchanged)
	}
	_, err := transparency.Verify(strings.NewReader("{}"), nil, nil)
	require.ErrorContains(t, err, "integrations audit export")
	report := verified(t, honest.export("", nil), "")
	require.Zero(t, report.Unchanged, "without a held checkpoint nothing is known to be unchanged")
}
