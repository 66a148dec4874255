package health

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/streams"
)

// Scheduler queues due probes: of each enabled integration at its interval. The times follow
// from the id of the integration and the calendar, so nothing is stored, and a restart
// changes nothing. Any number of schedulers may run; one is active.
type Scheduler struct {
	Queue  *Queue
	Events *eventstore.Store
	Model  *projections.Live // of which the timetable is made, before the log is followed
	Every  time.Duration     // for integrations without an interval; 0: those are probed only on request
	Now    func() time.Time
	Log    *slog.Logger

	mu    sync.Mutex
	table *timetable
}

const (
	// ScheduleFollower is the name of the schedule's position in the log, and of its lease. It needs the
	// last event of each integration only.
	ScheduleFollower = "probe-schedules.integrations._all._all"

	maxDue    = 16 // probes that are queued concurrently
	beatEvery = 10 * time.Second
)

// Run schedules probes until ctx ends, and returns nil.
func (s *Scheduler) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := s.Events.Lead(ctx, ScheduleFollower, s.lead); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "scheduling probes failed; retrying", slog.Any("err", err))
		}
		streams.Wait(ctx, time.Second)
	}
	return nil
}

func (s *Scheduler) lead(ctx context.Context) error {
	if err := s.Queue.dropSchedules(ctx); err != nil {
		return err
	}
	if err := s.load(ctx); err != nil {
		return err
	}
	at := s.table.at
	parts, ctx := errgroup.WithContext(ctx)
	moved := make(chan struct{}, 1)
	parts.Go(func() error { return s.follow(ctx, at, moved) })
	parts.Go(func() error { return s.fire(ctx, moved) })
	return parts.Wait()
}

// follow updates the timetable from the log after a position.
func (s *Scheduler) follow(ctx context.Context, at uint64, moved chan<- struct{}) error {
	for commits, err := range s.Events.After(ctx, at) {
		if err != nil {
			return err
		}
		s.mu.Lock()
		for _, c := range commits {
			if c.Key == "" { // else it is about an authorization, which changes no integration
				s.table.set(c.Ref(), s.interval(c), s.Now())
			}
			s.table.at = c.Position
		}
		s.mu.Unlock()
		select {
		case moved <- struct{}{}:
		default:
		}
	}
	return ctx.Err()
}

// fire queues probes when they are due.
func (s *Scheduler) fire(ctx context.Context, moved <-chan struct{}) error {
	var beaten time.Time
	for ctx.Err() == nil {
		s.mu.Lock()
		due, at := s.table.due(s.Now()), s.table.at
		wait := s.table.wait(s.Now())
		s.mu.Unlock()
		if now := s.Now(); now.Sub(beaten) >= beatEvery { // shows that a scheduler is active
			if err := s.Events.SavePosition(ctx, ScheduleFollower, s.Events.Lineage().ID(), at); err != nil {
				return err
			}
			beaten = now
		}
		var putting errgroup.Group
		putting.SetLimit(maxDue)
		for _, of := range due {
			putting.Go(func() error { return s.Queue.due(ctx, of) })
		}
		if err := putting.Wait(); err != nil {
			return err // missed probes are determined again
		}
		select {
		case <-time.After(min(wait, beatEvery)):
		case <-moved:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// due queues a probe. If it is already in the queue, only its time changes.
func (q *Queue) due(ctx context.Context, of domain.Ref) error {
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	if _, err := q.js.Publish(ctx, subjectOf(Due, of.Workspace, of.ID), nil); err != nil {
		return unavailable(err, "schedule probes")
	}
	return nil
}

// dropSchedules removes the schedules that earlier versions stored in the stream.
func (q *Queue) dropSchedules(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := q.stream.Purge(ctx, jetstream.WithPurgeSubject(schedulePrefix+">")); err != nil {
		return unavailable(fmt.Errorf("drop the schedules of an earlier version: %w", err), "schedule probes")
	}
	return nil
}
