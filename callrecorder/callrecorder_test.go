package callrecorder_test

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
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/callrecorder"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
)

func openEvents(t *testing.T, nc *nats.Conn) *eventstore.Store {
	t.Helper()
	s, err := eventstore.Open(t.Context(), nc, eventstore.Config{Durable: func(context.Context) (bool, error) { return true, nil }})
	require.NoError(t, err)
	return s
}

func openOn(t *testing.T, path string, events *eventstore.Store) *callrecorder.Recorder {
	t.Helper()
	r, err := callrecorder.Open(t.Context(), path, events, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return r
}

// run runs a recorder until the function that it returns is called.
func run(t *testing.T, r *callrecorder.Recorder) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return func() {
		cancel()
		require.NoError(t, <-done)
	}
}

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func call(n int) (domain.IntegrationInvoked, domain.Metadata) {
	name := fmt.Sprint("crm-", n%3)
	return domain.IntegrationInvoked{
			ID: domain.NewID("acme", name), Workspace: "acme", Name: name, Endpoint: "list", Kind: domain.ToolCall, Outcome: domain.CallOK, At: noon,
		},
		domain.Metadata{CommandID: fmt.Sprint("call-", n), Actor: "key", Address: "192.0.2.1", RequestID: "r<1>", At: noon}
}

// recorded returns the ids of all calls, in their order.
func recorded(t *testing.T, events *eventstore.Store) []string {
	t.Helper()
	var ids []string
	for after, more := uint64(0), true; more; {
		var page []eventstore.Commit
		var err error
		page, more, err = events.CallPage(t.Context(), eventstore.Selection{}, after, 500)
		require.NoError(t, err)
		for _, c := range page {
			require.NoError(t, c.Err)
			require.Equal(t, "r<1>", c.Meta.RequestID)
			after, ids = c.Position, append(ids, c.Meta.CommandID)
		}
	}
	return ids
}

func ids(count int) []string {
	all := make([]string, count)
	for n := range all {
		all[n] = fmt.Sprint("call-", n)
	}
	return all
}

func TestACallIsReadAfterItWasTaken(t *testing.T) {
	events := openEvents(t, natstest.Connect(t))
	r := openOn(t, filepath.Join(t.TempDir(), "calls"), events)
	defer run(t, r)()
	for n := range 20 {
		e, m := call(n)
		require.NoError(t, r.Record(t.Context(), e, m))
		require.Equal(t, ids(n+1), recorded(t, events))
	}
	e, m := call(20)
	position, err := r.RecordNow(t.Context(), e, m)
	require.NoError(t, err)
	head, err := events.CallHead(t.Context())
	require.NoError(t, err)
	require.Equal(t, head, position)
}

// The journal is copied at moments at which the process could have been killed.
func TestAKilledProcessLosesNoCallAndRepeatsNone(t *testing.T) {
	const calls = 40
	for name, kill := range map[string]struct {
		stored int // how many are recorded when it is killed
		cut    int64
		want   int
	}{
		"before any is recorded":         {0, 0, calls},
		"after some are recorded":        {25, 0, calls},
		"after all are recorded":         {calls, 0, calls},
		"while it wrote the last of all": {10, 3, calls - 1}, // whose caller has no answer yet
	} {
		t.Run(name, func(t *testing.T) {
			events, dir := openEvents(t, natstest.Connect(t)), t.TempDir()
			killed := openOn(t, filepath.Join(dir, "killed"), events)
			end := run(t, killed)
			for n := range calls {
				e, m := call(n)
				if n == kill.stored {
					require.NoError(t, killed.Flush(t.Context()))
					end() // nothing more is recorded
				}
				require.NoError(t, killed.Record(t.Context(), e, m))
			}
			if kill.stored == calls {
				require.NoError(t, killed.Flush(t.Context()))
			}
			journal, err := os.ReadFile(filepath.Join(dir, "killed"))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "left"), journal[:int64(len(journal))-kill.cut], 0o600))
			if kill.stored == calls {
				end()
			}

			next := openOn(t, filepath.Join(dir, "left"), events)
			defer run(t, next)()
			require.NoError(t, next.Flush(t.Context()))
			require.Equal(t, ids(kill.want), recorded(t, events))
		})
	}
}

func TestAJournalKeepsNothingThatIsRecorded(t *testing.T) {
	events, path := openEvents(t, natstest.Connect(t)), filepath.Join(t.TempDir(), "calls")
	r := openOn(t, path, events)
	defer run(t, r)()
	for n := range 5 {
		e, m := call(n)
		require.NoError(t, r.Record(t.Context(), e, m))
		require.NoError(t, r.Flush(t.Context()))
	}
	require.Eventually(t, func() bool {
		left, err := os.ReadFile(path)
		return err == nil && !bytes.Contains(left, []byte("call-"))
	}, time.Minute, time.Millisecond)
}

// What a killed process has left stays, whatever the next one can't write or read of it.
func TestAJournalThatCantBeWrittenOrReadLosesNothingElse(t *testing.T) {
	events, path := openEvents(t, natstest.Connect(t)), filepath.Join(t.TempDir(), "calls")
	killed := openOn(t, path, events)
	for n := range 5 {
		e, m := call(n)
		require.NoError(t, killed.Record(t.Context(), e, m))
	}
	left, err := os.ReadFile(path)
	require.NoError(t, err)
	next := filepath.Join(t.TempDir(), "calls")
	require.NoError(t, os.WriteFile(next, left, 0o600))

	require.NoError(t, os.Symlink("/dev/full", next+".new"))
	_, err = callrecorder.Open(t.Context(), next, events, slog.New(slog.DiscardHandler))
	require.Error(t, err)
	kept, err := os.ReadFile(next)
	require.NoError(t, err)
	require.Equal(t, left, kept)

	at := bytes.Index(kept, []byte("call-2"))
	kept[at]++
	require.NoError(t, os.WriteFile(next, kept, 0o600))
	r := openOn(t, next, events)
	defer run(t, r)()
	require.NoError(t, r.Flush(t.Context()))
	require.Equal(t, []string{"call-0", "call-1", "call-3", "call-4"}, recorded(t, events))
}

// A journal that was copied from the data folder of another service has calls of its log.
func TestAJournalOfAnotherLogIsSetAside(t *testing.T) {
	foreign, path := filepath.Join(t.TempDir(), "calls"), filepath.Join(t.TempDir(), "calls")
	killed := openOn(t, foreign, openEvents(t, natstest.Connect(t)))
	for n := range 3 {
		e, m := call(n)
		require.NoError(t, killed.Record(t.Context(), e, m))
	}
	left, err := os.ReadFile(foreign)
	require.NoError(t, err)

	events := openEvents(t, natstest.Connect(t))
	for times := 1; times <= 2; times++ { // the second doesn't replace the first
		require.NoError(t, os.WriteFile(path, left, 0o600))
		var log bytes.Buffer
		r, err := callrecorder.Open(t.Context(), path, events, slog.New(slog.NewTextHandler(&log, nil)))
		require.NoError(t, err)
		require.Contains(t, log.String(), "the journal of calls is of another log")
		require.Contains(t, log.String(), "calls=3")
		end := run(t, r)
		e, m := call(times)
		require.NoError(t, r.Record(t.Context(), e, m))
		require.NoError(t, r.Flush(t.Context()))
		end()
		aside, err := filepath.Glob(path + ".of-*")
		require.NoError(t, err)
		require.Len(t, aside, times)
		for _, file := range aside {
			require.Contains(t, log.String()+file, filepath.Base(path)+".of-")
			kept, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, left, kept)
		}
	}
	require.Equal(t, []string{"call-1", "call-2"}, recorded(t, events), "the calls of the other log are not recorded in this one")
}

// A log that is missing for one start costs nothing, when it is back.
func TestAJournalThatWasSetAsideIsRecordedWhenItsLogIsBack(t *testing.T) {
	events, away := openEvents(t, natstest.Connect(t)), openEvents(t, natstest.Connect(t))
	first := filepath.Join(t.TempDir(), "calls")
	killed := openOn(t, first, events)
	for n := range 3 {
		e, m := call(n)
		require.NoError(t, killed.Record(t.Context(), e, m))
	}
	path := filepath.Join(t.TempDir(), "calls")
	left, err := os.ReadFile(first)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, left, 0o600))
	run(t, openOn(t, path, away))()
	require.Empty(t, recorded(t, away))

	r := openOn(t, path, events)
	end := run(t, r)
	require.NoError(t, r.Flush(t.Context()))
	e, m := call(3)
	require.NoError(t, r.Record(t.Context(), e, m))
	require.NoError(t, r.Flush(t.Context()))
	end()
	require.Equal(t, ids(4), recorded(t, events))
	run(t, openOn(t, path, events))()
	require.Equal(t, ids(4), recorded(t, events), "each once")
	aside, err := filepath.Glob(path + ".of-*")
	require.NoError(t, err)
	require.Empty(t, aside)
}

// A log keeps its earlier identities when it is restored, or a loss is accepted.
func TestAJournalFromBeforeALogWasRestoredIsContinued(t *testing.T) {
	nc, path := natstest.Connect(t), filepath.Join(t.TempDir(), "calls")
	before := openEvents(t, nc)
	killed := openOn(t, path, before)
	e, m := call(0)
	require.NoError(t, killed.Record(t.Context(), e, m))
	left, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, before.Begin(t.Context(), eventstore.Epoch{Reason: eventstore.RestoredFromBackup}, 0, ""))

	path = filepath.Join(t.TempDir(), "calls")
	require.NoError(t, os.WriteFile(path, left, 0o600))
	events := openEvents(t, nc)
	r := openOn(t, path, events)
	defer run(t, r)()
	require.NoError(t, r.Flush(t.Context()))
	require.Equal(t, ids(1), recorded(t, events))
}

func TestCallsOutliveNATSThatIsDown(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes seconds; run without -short")
	}
	server := natstest.Spawn(t, t.TempDir(), true)
	nc, err := nats.Connect(server.URL, nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	events := openEvents(t, nc)
	r := openOn(t, filepath.Join(t.TempDir(), "calls"), events)
	defer run(t, r)()
	for n := range 30 {
		if n == 10 {
			server.Kill()
		}
		e, m := call(n)
		require.NoError(t, r.Record(t.Context(), e, m))
	}
	server.Start()
	require.Eventually(t, func() bool { return r.Flush(t.Context()) == nil }, time.Minute, time.Millisecond)
	require.Equal(t, ids(30), recorded(t, events))
}

func TestAJournalHasOneRecorder(t *testing.T) {
	events, path := openEvents(t, natstest.Connect(t)), filepath.Join(t.TempDir(), "calls")
	end := run(t, openOn(t, path, events))
	_, err := callrecorder.Open(t.Context(), path, events, slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, callrecorder.ErrInUse)
	end()
	run(t, openOn(t, path, events))()
}
