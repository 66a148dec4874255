package projections_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/projections/sqlite"
)

// history is a log that tests write.
type history struct {
	*eventstore.Store
	nc   *nats.Conn
	last map[domain.ID]uint64 // position of each integration's last event
}

func begin(t testing.TB) *history {
	t.Helper()
	nc := natstest.Connect(t)
	events, err := eventstore.Open(t.Context(), nc, eventstore.Config{AllowLazySync: true})
	require.NoError(t, err)
	return &history{Store: events, nc: nc, last: map[domain.ID]uint64{}}
}

// record appends e and returns its position.
func (h *history) record(t testing.TB, i domain.Integration, e domain.Event) uint64 {
	t.Helper()
	at, err := h.Append(t.Context(), i.Workspace, i.ID, h.last[i.ID], e, domain.Metadata{At: i.UpdatedAt, CommandID: fmt.Sprint(i.ID, h.last[i.ID])})
	require.NoError(t, err)
	h.last[i.ID] = at
	return at
}

// scribble appends an unreadable event.
func (h *history) scribble(t testing.TB, i domain.Integration) uint64 {
	t.Helper()
	reply, err := h.nc.Request("integrations."+string(i.Workspace)+"."+string(i.ID), []byte("?"), 5*time.Second)
	require.NoError(t, err)
	require.Contains(t, string(reply.Data), `"stream":"INTEGRATIONS"`)
	h.last[i.ID], err = h.Head(t.Context())
	require.NoError(t, err)
	return h.last[i.ID]
}

func (h *history) probe(t testing.TB, i domain.Integration, status domain.ProbeStatus) uint64 {
	t.Helper()
	last, err := h.LastProbe(t.Context(), i.Workspace, i.ID)
	require.NoError(t, err)
	at, err := h.RecordProbe(t.Context(), last.Position, domain.IntegrationProbed{
		ID: i.ID, Workspace: i.Workspace, Incarnation: i.Incarnation,
		Probe: domain.Probe{Status: status, At: i.UpdatedAt},
	}, domain.Metadata{At: i.UpdatedAt, CommandID: string(status)})
	require.NoError(t, err)
	return at
}

// project keeps s current until the test ends or stop is called.
func project(t testing.TB, h *history, s projections.Store) (p *projections.Projector, stop func()) {
	t.Helper()
	p = &projections.Projector{Events: h.Store, Store: s, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(stop)
	return p, stop
}

// wait waits for a position, for up to a minute.
func wait(t testing.TB, p interface {
	Wait(context.Context, uint64) error
}, position uint64,
) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, p.Wait(ctx, position))
}

func created(i domain.Integration) domain.Event { return domain.IntegrationCreated{Integration: i} }

func TestRecordedEventsAreShown(t *testing.T) {
	h, s := begin(t), store(t)
	p, _ := project(t, h, s)
	crm := named(workspace, "crm")
	wait(t, p, h.record(t, crm, created(crm)))
	got, err := s.Get(t.Context(), workspace, crm.ID)
	require.NoError(t, err)
	require.Equal(t, projections.Integration{Integration: crm}, got)

	h.probe(t, crm, domain.Timeout)
	require.Eventually(t, func() bool {
		got, err := s.Get(t.Context(), workspace, crm.ID)
		return err == nil && got.LastProbe != nil && got.LastProbe.Status == domain.Timeout
	}, time.Minute, time.Millisecond)

	crm.DisplayName, crm.Version = "Changed", 2
	at := h.record(t, crm, domain.IntegrationUpdated{Integration: crm, Changed: []string{"/display_name"}})
	wait(t, p, at)
	require.Equal(t, at, p.Position())
	got, err = s.Get(t.Context(), workspace, crm.ID)
	require.NoError(t, err)
	require.Equal(t, crm, got.Integration)
	require.NotNil(t, got.LastProbe)

	wait(t, p, h.record(t, crm, domain.IntegrationDeleted{ID: crm.ID, Workspace: workspace, Name: "crm", Version: 3}))
	_, err = s.Get(t.Context(), workspace, crm.ID)
	require.Equal(t, domain.NoSuchIntegration(), err)
}

func TestALostReadModelIsRebuiltAndAnInterruptedOneContinues(t *testing.T) {
	h, interrupted := begin(t), store(t)
	_, stop := project(t, h, interrupted)
	var last uint64
	for n := range 60 {
		i := named(workspace, fmt.Sprintf("crm-%d", n%20))
		i.Version = uint64(n/20 + 1)
		last = h.record(t, i, created(i))
		if n == 30 {
			stop()
		}
	}
	p, _ := project(t, h, interrupted)
	wait(t, p, last)

	lost := store(t)
	first, _ := project(t, h, lost) // two at once are harmless
	second, _ := project(t, h, lost)
	wait(t, first, last)
	wait(t, second, last)
	want, err := interrupted.List(t.Context(), workspace, projections.Query{Limit: 50})
	require.NoError(t, err)
	require.Equal(t, 20, want.Total)
	got, err := lost.List(t.Context(), workspace, projections.Query{Limit: 50})
	require.NoError(t, err)
	require.Equal(t, want, got)
	for _, i := range got.Items {
		require.EqualValues(t, 3, i.Version)
	}
}

func TestAReadModelOfAnotherLogIsNotContinued(t *testing.T) {
	h, s := begin(t), store(t)
	require.NoError(t, s.Apply(t.Context(), projections.Batch{Reached: projections.Positions{Integrations: 900}}))
	p := &projections.Projector{Events: h.Store, Store: s, Log: slog.New(slog.DiscardHandler)}
	require.ErrorIs(t, p.Run(t.Context()), projections.ErrOtherLog)
}

// All positions of a store may be in the log and be those of other events.
func TestAReadModelThatShowsLostEventsIsNotContinued(t *testing.T) {
	h, shown, behind := begin(t), store(t), store(t)
	crm := named(workspace, "crm")
	h.record(t, crm, created(crm))
	p, stop := project(t, h, behind)
	wait(t, p, 1)
	stop()
	for range 3 {
		h.record(t, crm, created(crm))
	}
	p, stop = project(t, h, shown)
	wait(t, p, 4)
	stop()
	require.NoError(t, h.Begin(t.Context(), eventstore.Epoch{After: 2, Reason: eventstore.Loss}, 0, ""))
	last := h.record(t, crm, created(crm))
	p = &projections.Projector{Events: h.Store, Store: shown, Log: slog.New(slog.DiscardHandler)}
	require.ErrorIs(t, p.Run(t.Context()), projections.ErrOtherLog)
	for range 2 { // the second time it is beyond the common part of both logs
		p, stop = project(t, h, behind)
		wait(t, p, last)
		stop()
	}
}

func TestAnUnreadableEventParksOnlyItsIntegration(t *testing.T) {
	h, s := begin(t), store(t)
	crm, ehr, fax := named(workspace, "crm"), named(workspace, "ehr"), named(workspace, "fax")
	h.record(t, crm, created(crm))
	h.record(t, fax, created(ehr)) // in the history of another
	unreadable := h.scribble(t, crm)
	last := h.record(t, ehr, created(ehr))
	p, _ := project(t, h, s)
	wait(t, p, last)
	parked, err := s.Parked(t.Context())
	require.NoError(t, err)
	require.Len(t, parked, 2)
	require.Equal(t, fax.ID, parked[0].ID)
	require.Contains(t, parked[0].Reason, "another integration")
	require.Equal(t, crm.ID, parked[1].ID)
	require.Equal(t, unreadable, parked[1].Position)
	require.Contains(t, parked[1].Reason, "unknown type")
	for _, shown := range []domain.Integration{crm, ehr} {
		got, err := s.Get(t.Context(), workspace, shown.ID)
		require.NoError(t, err)
		require.Equal(t, shown, got.Integration)
	}
	letters := deadLetters(t, h, 2)
	require.Equal(t, []uint64{unreadable, 2}, []uint64{letters[0].Position, letters[1].Position})
	require.Contains(t, letters[0].Reason, "unknown type")
	h.record(t, fax, created(fax))
	overtaken := h.scribble(t, crm)
	wait(t, p, h.record(t, crm, created(crm)))
	parked, err = s.Parked(t.Context())
	require.NoError(t, err)
	require.Empty(t, parked)
	require.Equal(t, overtaken, deadLetters(t, h, 3)[0].Position)

	again, _ := project(t, h, store(t))
	wait(t, again, h.record(t, ehr, created(ehr)))
	deadLetters(t, h, 3)
}

// deadLetters waits until there is a number of dead letters, and returns them.
func deadLetters(t *testing.T, h *history, want uint64) []eventstore.DeadLetter {
	t.Helper()
	var letters []eventstore.DeadLetter
	require.Eventually(t, func() bool {
		all, total, err := h.DeadLetters(t.Context(), 10)
		letters = all
		return err == nil && total == want
	}, time.Minute, time.Millisecond)
	return letters
}

func TestAfterAFailureAProjectorContinuesFromThePositionsOfTheStore(t *testing.T) {
	h := begin(t)
	path := filepath.Join(t.TempDir(), "read.db")
	s, err := sqlite.Open(t.Context(), path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	aside, err := sql.Open("sqlite3", path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, aside.Close()) })

	p, _ := project(t, h, s)
	crm := named(workspace, "crm")
	wait(t, p, h.record(t, crm, created(crm)))
	_, err = aside.ExecContext(t.Context(), `ALTER TABLE probes RENAME TO gone`)
	require.NoError(t, err)
	var last uint64
	for n := range 10 {
		i := named(workspace, fmt.Sprintf("crm-%d", n))
		last = h.record(t, i, created(i))
		h.probe(t, i, domain.Healthy)
	}
	_, err = s.Get(t.Context(), workspace, crm.ID)
	require.Equal(t, domain.Unavailable, domain.KindOf(err))
	_, err = aside.ExecContext(t.Context(), `ALTER TABLE gone RENAME TO probes`)
	require.NoError(t, err)
	wait(t, p, last)
	page, err := s.List(t.Context(), workspace, projections.Query{Limit: 50})
	require.NoError(t, err)
	require.Equal(t, 11, page.Total)
}

func TestManyWaitForTheSamePosition(t *testing.T) {
	h, s := begin(t), store(t)
	p, _ := project(t, h, s)
	follower := &projections.Projector{Events: h.Store, Store: s, Mode: projections.ReadOnly, Every: time.Millisecond, Log: slog.New(slog.DiscardHandler)}
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		if err := follower.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	var waiting sync.WaitGroup
	for n := range 2000 {
		waiting.Go(func() {
			patient, cancel := context.WithTimeout(ctx, 20*time.Second)
			defer cancel()
			wait := p.Wait
			if n%2 == 0 {
				wait = follower.Wait
			}
			if err := wait(patient, uint64(n%3+1)); err != nil {
				t.Error(err)
			}
		})
	}
	for n := range 3 {
		i := named(workspace, fmt.Sprintf("crm-%d", n))
		h.record(t, i, created(i))
	}
	waiting.Wait()
	stop()
	all.Wait()
}

func TestWaitingTooLongReturnsThatTheReadModelIsBehind(t *testing.T) {
	h := begin(t)
	p, _ := project(t, h, store(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err := p.Wait(ctx, 1)
	var refusal *domain.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, domain.Unavailable, refusal.Kind)
	require.Equal(t, "projection_behind", refusal.Code)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, p.Wait(ctx, 0))
}
