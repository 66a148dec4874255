package audit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
)

var noon = time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)

// record is a log that tests write to.
type record struct {
	*testing.T
	events *eventstore.Store
	last   map[domain.ID]uint64
}

func openOn(t *testing.T, nc *nats.Conn) *record {
	t.Helper()
	events, err := eventstore.Open(t.Context(), nc, eventstore.Config{AllowLazySync: true, Timeout: 10 * time.Second})
	require.NoError(t, err)
	return &record{T: t, events: events, last: map[domain.ID]uint64{}}
}

func (r *record) change(w domain.Workspace, name string) uint64 {
	r.Helper()
	i := domain.Integration{ID: domain.NewID(w, name), Workspace: w, Name: name, Version: 1, Incarnation: 1, CreatedAt: noon, UpdatedAt: noon}
	var err error
	r.last[i.ID], err = r.events.Append(r.Context(), w, i.ID, r.last[i.ID], domain.IntegrationCreated{Integration: i}, domain.Metadata{CommandID: "c", At: noon})
	require.NoError(r, err)
	return r.last[i.ID]
}

// live starts a Live whose events are encoded in a readable way.
func (r *record) live(every time.Duration) *audit.Live {
	r.Helper()
	live := &audit.Live{
		Log: audit.Log{Events: r.events}, Every: every, Logger: slog.New(slog.DiscardHandler),
		Encode: func(e audit.Entry) []byte { return []byte(e.Name) },
	}
	ctx, stop := context.WithCancel(r.Context())
	ended := make(chan error, 1)
	go func() { ended <- live.Run(ctx) }()
	r.Cleanup(func() { stop(); require.NoError(r, <-ended) })
	require.Eventually(r, func() bool {
		for _, err := range live.Listen(r.Context(), "nobody", nil) {
			return err == nil
		}
		return false
	}, time.Minute, time.Millisecond)
	return live
}

func TestASlowListenerIsDroppedAndLosesNothing(t *testing.T) {
	r := openOn(t, natstest.Connect(t))
	live := r.live(time.Hour)
	const changes = 600
	var names []string
	var last uint64
	for note, err := range live.Listen(t.Context(), "acme", nil) {
		if err != nil {
			require.ErrorIs(t, err, audit.ErrSlow)
			break
		}
		if last = note.Position; note.Event == nil { // it listens; while it is busy, many events are recorded
			for n := range changes {
				r.change("acme", fmt.Sprintf("crm-%d", n))
			}
			continue
		}
		names = append(names, string(note.Event))
	}
	require.Less(t, len(names), changes)
	for note, err := range live.Listen(t.Context(), "acme", &last) {
		require.NoError(t, err)
		if note.Event == nil {
			break
		}
		names = append(names, string(note.Event))
	}
	require.Len(t, names, changes)
	for n, name := range names {
		require.Equal(t, "crm-"+strconv.Itoa(n), name)
	}
}

func TestManyListenersShareOneReader(t *testing.T) {
	nc := natstest.Connect(t)
	r := openOn(t, nc)
	live := r.live(time.Hour)
	const listeners = 2000
	var listening, done sync.WaitGroup
	listening.Add(listeners)
	for range listeners {
		done.Go(func() {
			got := 0
			for note, err := range live.Listen(t.Context(), "acme", nil) {
				switch {
				case err != nil:
					t.Error(err)
					return
				case note.Event == nil:
					listening.Done()
				default:
					got++
				}
				if got == 20 {
					return
				}
			}
		})
	}
	listening.Wait()
	require.Equal(t, listeners, live.Listeners())
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), "INTEGRATIONS")
	require.NoError(t, err)
	require.Equal(t, 1, stream.CachedInfo().State.Consumers)
	for n := range 20 {
		r.change("acme", fmt.Sprint("crm-", n))
		r.change("other", fmt.Sprint("crm-", n))
	}
	done.Wait()
	require.Zero(t, live.Listeners())
}

func TestListenersGetEventsAgainOnceNATSIsBack(t *testing.T) {
	dir := t.TempDir()
	address, stop := natstest.ListenOn(t, dir, "127.0.0.1:0")
	nc, err := nats.Connect(address, nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	require.NoError(t, err)
	defer nc.Close()
	r := openOn(t, nc)
	live := r.live(time.Hour)
	var got []string
	for note, err := range live.Listen(t.Context(), "acme", nil) {
		require.NoError(t, err)
		if note.Event == nil {
			r.change("acme", "first")
			continue
		}
		if got = append(got, string(note.Event)); len(got) == 2 {
			break
		}
		stop()
		_, stop = natstest.ListenOn(t, dir, address)
		require.Eventually(t, func() bool { return r.events.CheckWritable(t.Context()) == nil }, time.Minute, 10*time.Millisecond)
		r.change("acme", "second")
	}
	stop()
	require.Equal(t, []string{"first", "second"}, got)
}

func TestAListenerDoesNotWaitForAnotherLog(t *testing.T) {
	r := openOn(t, natstest.Connect(t))
	live := r.live(time.Hour)
	end := r.change("acme", "crm")
	for _, after := range []uint64{end + 1, math.MaxUint64 - 1, math.MaxUint64} {
		for _, err := range live.Listen(t.Context(), "acme", &after) {
			require.Equal(t, domain.Invalid, domain.KindOf(err))
			break
		}
	}
	for note, err := range live.Listen(t.Context(), "acme", &end) {
		require.NoError(t, err)
		require.Equal(t, end, note.Position)
		break
	}
}

func TestListenersEndWithTheService(t *testing.T) {
	r := openOn(t, natstest.Connect(t))
	live := &audit.Live{Log: audit.Log{Events: r.events}, Encode: func(audit.Entry) []byte { return nil }, Logger: slog.New(slog.DiscardHandler)}
	for _, err := range live.Listen(t.Context(), "acme", nil) {
		require.Equal(t, domain.Unavailable, domain.KindOf(err), "it has not started")
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- live.Run(ctx) }()
	var last error
	require.Eventually(t, func() bool {
		for _, err := range live.Listen(t.Context(), "acme", nil) {
			if last = err; err != nil {
				break
			}
			stop()
		}
		return errors.Is(last, audit.ErrEnded)
	}, time.Minute, time.Millisecond)
	require.NoError(t, <-ended)
}
