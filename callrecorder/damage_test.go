package callrecorder_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/callrecorder"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
)

// left returns the records of a journal that a killed process has left: its origin and calls.
func left(t *testing.T, nc *nats.Conn, calls int) (records [][]byte) {
	t.Helper()
	events := openEvents(t, nc) // of that process
	path := filepath.Join(t.TempDir(), "calls")
	killed := openOn(t, path, events)
	for n := range calls {
		e, m := call(n)
		require.NoError(t, killed.Record(t.Context(), e, m))
	}
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	for len(data) > 0 {
		end := 8 + binary.BigEndian.Uint32(data)
		records, data = append(records, data[:end:end]), data[end:]
	}
	require.Len(t, records, 1+calls)
	return records
}

// openRecovery returns the path of a journal, and its log with a connection to it.
func openRecovery(t *testing.T) (*eventstore.Store, *nats.Conn, string) {
	t.Helper()
	nc := natstest.Connect(t)
	return openEvents(t, nc), nc, filepath.Join(t.TempDir(), "calls")
}

// framed returns a record behind its length and its checksum.
func framed(record string) []byte {
	data := binary.BigEndian.AppendUint32(nil, uint32(len(record)))
	data = binary.BigEndian.AppendUint32(data, crc32.Checksum([]byte(record), crc32.MakeTable(crc32.Castagnoli)))
	return append(data, record...)
}

// changed returns data with another byte.
func changed(data []byte, at int, b byte) []byte {
	data = slices.Clone(data)
	data[at] ^= b
	return data
}

func noise(length int) []byte { // of which nothing is a record
	data := make([]byte, length)
	for n := range data {
		data[n] = byte(n*n*31 + n*7 + 129)
	}
	return data
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

// recoverCalls runs a recorder of a journal until all in it is recorded, and returns what it logged.
func recoverCalls(t *testing.T, path string, events *eventstore.Store) string {
	t.Helper()
	var log bytes.Buffer
	r, err := callrecorder.Open(t.Context(), path, events, slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)
	end := run(t, r)
	require.NoError(t, r.Flush(t.Context()))
	end()
	return log.String()
}

// beside returns the files beside a journal whose names begin with its own and an ending, with their contents.
func beside(t *testing.T, path, ending string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(path + ending + "*")
	require.NoError(t, err)
	files := map[string][]byte{}
	for _, name := range names {
		files[filepath.Base(name)], err = os.ReadFile(name)
		require.NoError(t, err)
	}
	return files
}

func TestDamageTakesOnlyTheCallsThatItCovers(t *testing.T) {
	const calls = 20
	without := func(lost ...int) (want []string) {
		for n, id := range ids(calls) {
			if !slices.Contains(lost, n) {
				want = append(want, id)
			}
		}
		return want
	}
	zeros := make([]byte, 512)
	for name, given := range map[string]struct {
		damage func(records [][]byte) [][]byte
		want   []string
		torn   bool // as after a kill in the middle of a write, which is no damage
	}{
		"zeros after the end":            {func(r [][]byte) [][]byte { return append(r, zeros) }, without(), false},
		"eight zeros after the end":      {func(r [][]byte) [][]byte { return append(r, zeros[:8]) }, without(), false},
		"zeros between calls":            {func(r [][]byte) [][]byte { return slices.Insert(r, 6, zeros) }, without(), false},
		"a record that is no call":       {func(r [][]byte) [][]byte { return slices.Insert(r, 6, framed("no call")) }, without(), false},
		"a call without an id":           {func(r [][]byte) [][]byte { return slices.Insert(r, 6, framed("\x00\x00")) }, without(), false},
		"a call with another byte":       {func(r [][]byte) [][]byte { r[6] = changed(r[6], 40, 1); return r }, without(5), false},
		"a length beyond the end":        {func(r [][]byte) [][]byte { r[6] = changed(r[6], 0, 0x40); return r }, without(5), false},
		"a length beyond some calls":     {func(r [][]byte) [][]byte { r[6] = changed(r[6], 2, 0x08); return r }, without(5), false},
		"a length that is too short":     {func(r [][]byte) [][]byte { r[6] = changed(r[6], 3, r[6][3]); return r }, without(5), false},
		"a part of a call between calls": {func(r [][]byte) [][]byte { r[6] = r[6][:30]; return r }, without(5), false},
		"the last length beyond all":     {func(r [][]byte) [][]byte { r[20] = changed(r[20], 0, 0x40); return r }, without(19), false},
		"zeros after a part of a call":   {func(r [][]byte) [][]byte { r[20] = append(r[20][:30], make([]byte, 4096)...); return r }, without(19), false},
		"the last call is not complete":  {func(r [][]byte) [][]byte { r[20] = r[20][:len(r[20])-3]; return r }, without(19), true},
		"a part of the last length":      {func(r [][]byte) [][]byte { r[20] = r[20][:3]; return r }, without(19), true},
	} {
		t.Run(name, func(t *testing.T) {
			events, nc, path := openRecovery(t)
			data := bytes.Join(given.damage(left(t, nc, calls)), nil)
			write(t, path, data)
			log := recoverCalls(t, path, events)
			require.Equal(t, given.want, recorded(t, events))
			if given.torn {
				require.NotContains(t, log, "ERROR")
				require.Empty(t, beside(t, path, ".damaged"))
				return
			}
			require.Contains(t, log, "their records are damaged")
			require.Contains(t, log, "damage.places=1")
			require.Contains(t, log, path+".damaged")
			require.NotContains(t, recoverCalls(t, path, events), "ERROR", "it is said once")
			require.Equal(t, map[string][]byte{"calls.damaged": data}, beside(t, path, ".damaged"))
			require.Equal(t, given.want, recorded(t, events))
		})
	}
}

func TestDamageIsLoggedWithItsPlace(t *testing.T) {
	events, nc, path := openRecovery(t)
	records := left(t, nc, 3)
	at := len(bytes.Join(records[:2], nil))
	write(t, path, bytes.Join(slices.Insert(records, 2, noise(100)), nil))
	require.Contains(t, recoverCalls(t, path, events), fmt.Sprintf("calls=3 damage.places=1 damage.at=%d damage.bytes=100", at))
}

// What can't be told to be of this log is not recorded in it.
func TestAJournalWhoseLogCantBeReadIsSetAside(t *testing.T) {
	records := left(t, natstest.Connect(t), 3)
	for name, first := range map[string][]byte{
		"a bit of its checksum":   changed(records[0], 5, 1),
		"a bit of its identity":   changed(records[0], 20, 1),
		"a bit of its length":     changed(records[0], 3, 1),
		"another large length":    changed(records[0], 0, 1),
		"no origin":               nil,
		"no identity":             framed(`{"log":"","after":0}`),
		"an origin without a log": framed(`null`),
	} {
		t.Run(name, func(t *testing.T) {
			events, _, path := openRecovery(t)
			data := bytes.Join(append([][]byte{first}, records[1:]...), nil)
			write(t, path, data)
			log := recoverCalls(t, path, events)
			require.Contains(t, log, "the log of the journal of calls can't be read")
			require.Contains(t, log, "calls=3")
			recoverCalls(t, path, events)
			require.Empty(t, recorded(t, events))
			require.Equal(t, map[string][]byte{"calls.damaged": data}, beside(t, path, ".damaged"))
		})
	}
	t.Run("nothing of it is a record", func(t *testing.T) {
		events, _, path := openRecovery(t)
		for _, data := range [][]byte{noise(5), noise(3000), append([]byte{0, 0, 200, 0}, noise(300)...)} {
			write(t, path, data)
			recoverCalls(t, path, events)
			require.Contains(t, slices.Collect(maps.Values(beside(t, path, ".damaged"))), data)
		}
		require.Len(t, beside(t, path, ".damaged"), 3)
		require.Empty(t, recorded(t, events))
	})
}

func TestADamagedJournalThatIsTakenBackIsKept(t *testing.T) {
	events, nc, path := openRecovery(t)
	data := append(bytes.Join(left(t, nc, 3), nil), noise(100)...)
	write(t, path+".of-"+events.Lineage().ID(), data)
	recoverCalls(t, path, events)
	require.Equal(t, ids(3), recorded(t, events))
	require.Empty(t, beside(t, path, ".of-"))
	require.Equal(t, map[string][]byte{"calls.damaged": data}, beside(t, path, ".damaged"))
}

// Else its calls could not be told to be of this log, when its first record can't be written.
func TestAJournalHasNoCallWithoutItsOrigin(t *testing.T) {
	events, _, path := openRecovery(t)
	r := openOn(t, path, events)
	defer run(t, r)()
	record := func(n int) {
		e, m := call(n)
		require.NoError(t, r.Record(t.Context(), e, m))
	}
	read := func() []byte {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		return data
	}
	record(0)
	require.Eventually(t, func() bool { return len(read()) == 0 }, time.Minute, time.Millisecond)
	var data []byte
	for n := 1; len(data) == 0; n++ { // it may be recorded before it is looked at
		record(n)
		data = read()
	}
	require.Contains(t, string(data[:20]), `{"log":`)
}

func TestDamagedJournalsThatAreKeptAreFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls")
	found, err := callrecorder.FindDamaged(path)
	require.NoError(t, err)
	require.Empty(t, found)
	for _, name := range []string{".damaged", ".damaged-2", ".damaged-x", ".damaged2", ".of-x", ".damaged-1", ""} {
		require.NoError(t, os.WriteFile(path+name, []byte(name), 0o600))
	}
	require.NoError(t, os.Mkdir(path+".damaged-3", 0o700))
	found, err = callrecorder.FindDamaged(path)
	require.NoError(t, err)
	require.Len(t, found, 2)
	require.Equal(t, path+".damaged", found[0].Path)
	require.Equal(t, path+".damaged-2", found[1].Path)
	require.Equal(t, int64(len(".damaged-2")), found[1].Bytes)
	require.WithinDuration(t, time.Now(), found[1].At, time.Hour)
	found, err = callrecorder.FindDamaged(filepath.Join(path, "nowhere", "calls"))
	require.Error(t, err, "it is below a file")
	require.Empty(t, found)
	found, err = callrecorder.FindDamaged(filepath.Join(t.TempDir(), "nowhere", "calls"))
	require.NoError(t, err)
	require.Empty(t, found)
}
