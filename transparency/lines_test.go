package transparency_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/transparency"
)

// The form of a line is in archives that were written long ago.
func TestALineHasTheFormThatItAlwaysHad(t *testing.T) {
	e := transparency.Entry{
		Subject: "a.<b>&\u2028c", Position: 7, Time: time.Unix(1_800_000_000, 5),
		Headers: map[string][]string{"z": {"<&>", "2"}, "a": {"\u2029\x7f\t\""}}, Data: []byte("{\"x\": \"<script> & 'é' \u2028 \\u0000\"}\n\x01"),
	}
	binary := e
	binary.Position, binary.Data = 8, []byte{0xff, 0xfe, 0}
	empty := transparency.Entry{Position: 9, Data: []byte{}}
	entries := []transparency.Entry{e, binary, empty}
	var export bytes.Buffer
	w, err := transparency.NewExportWriter(&export, transparency.Header{Log: "calls", Checkpoint: "a\nb+/=\n\n— c\n", PublicKey: "k+/="})
	require.NoError(t, err)
	require.NoError(t, w.Covered(transparency.Covered{From: 1, To: 4, Hash: transparency.Hash{1}}))
	require.NoError(t, w.Covered(transparency.Covered{From: 5, To: 6, Hash: transparency.Hash{2}}))
	require.NoError(t, w.Entries(entries))
	lines := strings.SplitAfter(export.String(), "\n")
	require.Equal(t, `{"transparency":{"log":"calls","checkpoint":"a\nb+/=\n\n— c\n","public_key":"k+/="}}`+"\n", lines[0])
	require.Equal(t, `{"covered":{"from":1,"to":4,"hash":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}`+"\n", lines[1])
	for n, e := range entries {
		leaf := e.Leaf()
		var want bytes.Buffer
		encoder := json.NewEncoder(&want)
		encoder.SetEscapeHTML(false)
		require.NoError(t, encoder.Encode(struct {
			Entry transparency.Entry `json:"entry"`
			Leaf  *transparency.Hash `json:"leaf"`
		}{e, &leaf}))
		require.Equal(t, want.String(), lines[3+n])
	}
	require.Contains(t, lines[3], `"subject":"a.\u003cb\u003e\u0026\u2028c"`)
	require.Contains(t, lines[4], `"data_base64":"//4A"`)
	require.Contains(t, lines[5], `"data":""`)
}

// A reader that stops at the header leaves the rest unread: it may be large.
func TestAHeaderIsReadWithoutTheLinesBehindIt(t *testing.T) {
	export := exportOf(t, 2000)
	from := bytes.NewReader(export)
	header, err := transparency.ReadHeader(from)
	require.NoError(t, err)
	require.Equal(t, transparency.Integrations, header.Log)
	rest, err := io.ReadAll(from)
	require.NoError(t, err)
	require.Greater(t, len(rest), len(export)-(100<<10))
}

// Lines are decoded in parallel, and reported in order: the first one that is wrong.
func TestTheFirstLineThatIsWrongIsReported(t *testing.T) {
	good := exportOf(t, 3000)
	for _, position := range []int{1, 2, 511, 512, 513, 514, 1024, 2999, 3000} {
		lines := bytes.SplitAfter(good, []byte("\n"))
		for n := position; n < len(lines)-1; n++ {
			lines[n] = bytes.Replace(lines[n], []byte(`{"entry"`), []byte(`{"x":1,"entry"`), 1)
		}
		report, err := transparency.Verify(bytes.NewReader(bytes.Join(lines, nil)), nil, nil)
		require.NoError(t, err)
		require.Len(t, report.Findings, 1)
		require.Equal(t, transparency.Malformed, report.Findings[0].Fault)
		require.EqualValues(t, position, report.Findings[0].Position)
		require.EqualValues(t, position-1, report.Entries)
	}
}
