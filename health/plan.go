package health

import (
	"context"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/projections"
)

// shownWithin bounds how long a new timetable waits until the read model shows the last probes.
// Those that it doesn't show are made again, between the others.
const shownWithin = 5 * time.Second

// load makes the timetable of all integrations from the read model. It waits until there is one.
// The log has the same, but there it is spread over all of its files.
func (s *Scheduler) load(ctx context.Context) error {
	if err := s.awaitProbes(ctx); err != nil {
		return err
	}
	table, now := newTimetable(), s.Now()
	if err := s.Model.Read(ctx, func(shown projections.Store, at projections.Positions) error {
		table.at = at.Integrations
		if err := shown.Schedule(ctx,
			func(of domain.Ref, seconds int) { table.set(of, s.every(seconds), now) },
			func(of domain.Ref, at time.Time) { table.probed(of, at) }); err != nil {
			return err
		}
		parked, err := shown.Parked(ctx) // shown as they were, but not probed
		for _, p := range parked {
			table.set(domain.Ref{Workspace: p.Workspace, ID: p.ID}, 0, now)
		}
		return err
	}); err != nil {
		return err
	}
	table.makeUp(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table = table
	return nil
}

// awaitProbes returns once the read model shows the probes so far, or has had the time to.
func (s *Scheduler) awaitProbes(ctx context.Context) error {
	head, err := s.Events.ProbeHead(ctx)
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, shownWithin)
	defer cancel()
	_ = s.Model.WaitForProbe(bounded, head)
	return ctx.Err()
}

// interval returns how often the integration of an event is probed after it; 0 is never.
func (s *Scheduler) interval(c eventstore.Commit) time.Duration {
	i := domain.Evolve(domain.Integration{}, c.Event)
	if i.Workspace != c.Workspace || i.ID != c.ID || !i.Exists() || !i.Enabled { // an unreadable event leads to none
		return 0
	}
	return s.every(projections.IntervalOf(i))
}

// every returns an interval as it is stored, in seconds, with that of the service in its place.
func (s *Scheduler) every(seconds int) time.Duration {
	if seconds == projections.UsualInterval {
		return max(s.Every, 0)
	}
	return time.Duration(seconds) * time.Second
}
