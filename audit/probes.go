package audit

import (
	"context"
	"slices"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// Probed is a recorded probe result and its position.
type Probed struct {
	Position uint64
	Actor    string // the id of the API key, or "system"
	domain.IntegrationProbed
}

// Uptime counts probes since a time.
type Uptime struct {
	Since          time.Time // of the first counted probe; zero when there is none
	Healthy, Total int
}

// Probes is a page of the probe results of an integration, and its uptime.
type Probes struct {
	Items      []Probed // newest first
	Next       uint64   // the start of the next page; 0: none
	Day, Month Uptime   // of the last 24 hours, as far as results are kept, and of the last 30 days
}

// keptProbes is how many results are kept for each integration.
const keptProbes = 1000

// Probes returns up to limit probe results of the present incarnation, newest first,
// before a position; 0 means after the last.
func (l Log) Probes(ctx context.Context, i domain.Integration, now time.Time, before uint64, limit int) (Probes, error) {
	commits, _, err := l.Events.ProbePage(ctx, eventstore.Selection{Workspace: i.Workspace, ID: i.ID}, 0, keptProbes)
	if err != nil {
		return Probes{}, err
	}
	slices.Reverse(commits)
	var p Probes
	counted := false
	for _, c := range commits {
		seen, ok := c.Event.(domain.IntegrationProbed)
		if !ok || seen.Incarnation != i.Incarnation {
			continue
		}
		if !counted {
			p.Month, counted = month(seen, now), true
		}
		if seen.Probe.At.After(now.Add(-24 * time.Hour)) {
			p.Day.count(seen.Probe.At, seen.Probe.Status == domain.Healthy)
		}
		switch {
		case before > 0 && c.Position >= before:
		case len(p.Items) < limit:
			p.Items = append(p.Items, Probed{Position: c.Position, Actor: c.Meta.Actor, IntegrationProbed: seen})
		case p.Next == 0:
			p.Next = p.Items[limit-1].Position
		}
	}
	return p, nil
}

func (u *Uptime) count(at time.Time, healthy bool) {
	u.Total++
	if healthy {
		u.Healthy++
	}
	u.Since = at
}

// month sums the days in the last result.
func month(last domain.IntegrationProbed, now time.Time) Uptime {
	var u Uptime
	oldest := now.UTC().AddDate(0, 0, -29).Format(time.DateOnly)
	for _, day := range last.Days {
		at, err := time.Parse(time.DateOnly, day.Date)
		if err != nil || day.Date < oldest {
			continue
		}
		if u.Since.IsZero() {
			u.Since = at
		}
		u.Healthy += day.Healthy
		u.Total += day.Total
	}
	return u
}

// ProbedHour counts the probes of an integration in one hour.
type ProbedHour struct {
	Start          time.Time // UTC
	Healthy, Total int
}

// ProbedByHour returns the hours with probes of integrations from a time on, at most a day ago,
// oldest first. It makes one request.
func (l Log) ProbedByHour(ctx context.Context, w domain.Workspace, ids []domain.ID, from time.Time) (map[domain.ID][]ProbedHour, error) {
	commits, err := l.Events.LastProbes(ctx, w, ids)
	if err != nil {
		return nil, err
	}
	all := map[domain.ID][]ProbedHour{}
	for _, c := range commits {
		seen, ok := c.Event.(domain.IntegrationProbed)
		if !ok {
			continue
		}
		for n, total := range seen.Hours.Total {
			if start := seen.Hours.Start(n); total > 0 && !start.Before(from) && n < len(seen.Hours.Healthy) {
				all[c.ID] = append(all[c.ID], ProbedHour{Start: start, Healthy: seen.Hours.Healthy[n], Total: total})
			}
		}
	}
	return all, nil
}
