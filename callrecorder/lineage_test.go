package callrecorder_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/natstest"
)

// A name shows nothing: what counts is the log that a journal names.
func TestAFileIsTakenBackForItsRecordsAndNotForItsName(t *testing.T) {
	events, nc, path := openRecovery(t)
	foreign := left(t, natstest.Connect(t), 3)
	of := path + ".of-" + events.Lineage().ID()
	stay := map[string][]byte{
		of:           bytes.Join(foreign, nil),
		of + "-2":    noise(3000),
		of + "-3":    bytes.Join(foreign[1:], nil),
		of + "-4":    {},
		of + "-else": append(changed(foreign[0], 4, 1), bytes.Join(foreign[1:], nil)...),
	}
	for file, data := range stay {
		write(t, file, data)
	}
	require.NoError(t, os.Mkdir(of+"-5", 0o700))
	require.NoError(t, syscall.Mkfifo(of+"-6", 0o600)) // a read of it would not end
	back := path + ".of-another"
	write(t, back, bytes.Join(left(t, nc, 2), nil))

	log := recoverCalls(t, path, events)
	require.Equal(t, ids(2), recorded(t, events))
	require.NoFileExists(t, back)
	require.Contains(t, log, of+"-5")
	require.Contains(t, log, of+"-6")
	require.DirExists(t, of+"-5")
	for file, data := range stay {
		require.Contains(t, log, `file=`+file+" ")
		kept, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, data, kept)
	}
	require.Empty(t, beside(t, path, ".damaged"))
}

// As after a kill between two steps of a start.
func TestACallThatIsInTwoPlacesIsRecordedOnce(t *testing.T) {
	const calls = 12
	for name, kill := range map[string]func(t *testing.T, path, of string, records [][]byte){
		"a journal was begun, and the one that was taken back is there": func(t *testing.T, path, of string, records [][]byte) {
			write(t, path, bytes.Join(records, nil))
			write(t, of, bytes.Join(records[:8], nil))
		},
		"two names of one file": func(t *testing.T, path, of string, records [][]byte) {
			write(t, path, bytes.Join(records, nil))
			require.NoError(t, os.Link(path, of))
		},
		"only in the two that were set aside": func(t *testing.T, _, of string, records [][]byte) {
			write(t, of, bytes.Join(records, nil))
			write(t, of+"-2", bytes.Join(records, nil))
		},
		"twice in one": func(t *testing.T, path, _ string, records [][]byte) {
			write(t, path, append(bytes.Join(records, nil), bytes.Join(records[3:], nil)...))
		},
	} {
		t.Run(name, func(t *testing.T) {
			events, nc, path := openRecovery(t)
			kill(t, path, path+".of-"+events.Lineage().ID(), left(t, nc, calls))
			recoverCalls(t, path, events)
			recoverCalls(t, path, events)
			require.Equal(t, ids(calls), recorded(t, events))
			require.Empty(t, beside(t, path, ".of-"))
		})
	}
}

// The calls of one journal can be before the position where another began.
func TestCallsOfSeveralJournalsAreLookedUpFromTheEarliestOrigin(t *testing.T) {
	events, nc, path := openRecovery(t)
	records := left(t, nc, 12)
	write(t, path, bytes.Join(records[:9], nil))
	recoverCalls(t, path, events)
	require.Equal(t, ids(8), recorded(t, events))

	log := events.Lineage().ID()
	write(t, path, bytes.Join(records[:9], nil))
	later := framed(fmt.Sprintf(`{"log":%q,"after":8}`, log))
	write(t, path+".of-"+log, append(later, bytes.Join(records[9:], nil)...))
	recoverCalls(t, path, events)
	require.Equal(t, ids(12), recorded(t, events))
}

// As after a kill between the second name of a file and the end of its first.
func TestAJournalThatIsHalfSetAsideHasOneName(t *testing.T) {
	events, nc, _ := openRecovery(t)
	foreign := natstest.Connect(t)
	records := left(t, foreign, 3)
	damaged := bytes.Join(append(left(t, nc, 3), noise(100)), nil)
	for ending, data := range map[string][]byte{
		".of-" + openEvents(t, foreign).Lineage().ID(): bytes.Join(records, nil),
		".damaged":   bytes.Join(records[1:], nil),
		".damaged-2": damaged,
	} {
		t.Run(ending, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "calls")
			write(t, path, data)
			require.NoError(t, os.Link(path, path+ending))
			want := map[string][]byte{"calls" + ending: data}
			if ending == ".damaged-2" {
				write(t, path+".damaged", noise(7))
				want["calls.damaged"] = noise(7)
			}
			recoverCalls(t, path, events)
			kept := beside(t, path, ".of-")
			for name, data := range beside(t, path, ".damaged") {
				kept[name] = data
			}
			require.Equal(t, want, kept)
		})
	}
	require.Equal(t, ids(3), recorded(t, events))
}
