package health

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// Waiting returns how many checks wait for a result of an integration.
func (r *Results) Waiting(of domain.Ref) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting[of])
}

// Planned is how an integration is scheduled.
type Planned struct {
	Every  time.Duration
	At     time.Time // its next slot
	MadeUp bool      // for a slot that it missed
}

// Plan returns the timetable that is made of the read model, the order in which missed slots are
// made up for, and the position after which the log is followed.
func (s *Scheduler) Plan(ctx context.Context) (map[domain.Ref]Planned, []domain.Ref, uint64, error) {
	if err := s.load(ctx); err != nil {
		return nil, nil, 0, err
	}
	plan, order := s.table.plan()
	return plan, order, s.table.at, nil
}

// PlanOfLog is Plan by the last event and the last probe of each integration in the log.
func (s *Scheduler) PlanOfLog(ctx context.Context) (map[domain.Ref]Planned, []domain.Ref, uint64, error) {
	table, now := newTimetable(), s.Now()
	each := func(read func(context.Context) (eventstore.Latest, error), do func(eventstore.Commit)) (uint64, error) {
		latest, err := read(ctx)
		if err != nil {
			return 0, err
		}
		for commits, err := range latest.Commits {
			if err != nil {
				return 0, err
			}
			for _, c := range commits {
				do(c)
			}
		}
		return latest.Position, nil
	}
	at, err := each(s.Events.Latest, func(c eventstore.Commit) { table.set(c.Ref(), s.interval(c), now) })
	if err != nil {
		return nil, nil, 0, err
	}
	if _, err := each(s.Events.LatestProbes, func(c eventstore.Commit) { table.probed(c.Ref(), c.Meta.At) }); err != nil {
		return nil, nil, 0, err
	}
	table.makeUp(now)
	plan, order := table.plan()
	return plan, order, at, nil
}

func (t *timetable) plan() (plan map[domain.Ref]Planned, order []domain.Ref) {
	plan = map[domain.Ref]Planned{}
	for of, e := range t.entries {
		plan[of] = Planned{Every: e.every, At: e.at, MadeUp: e.missed}
	}
	var never []domain.Ref // in no order
	for _, e := range t.missed {
		if e.last == 0 && len(order) == 0 {
			never = append(never, e.of)
		} else {
			order = append(order, e.of)
		}
	}
	slices.SortFunc(never, func(a, b domain.Ref) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return plan, slices.Concat(never, order)
}
