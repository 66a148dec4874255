package audit

import (
	"context"
	"slices"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
)

// Probed is what a probe saw, and where that is recorded.
type Probed struct {
	Position uint64
	Actor    string // the id of the API key, or "system"
	domain.IntegrationProbed
}

// Uptime counts probes since a time.
type Uptime struct {
	Since          time.Time // of the first probe that is counted; zero when there is none
	Healthy, Total int
}

// Probes is a page of what was seen of an integration, and what that comes to.
type Probes struct {
	Items      []Probed // newest first
	Next       uint64   // where the next page begins; 0: there is none
	Day, Month Uptime   // over the last 24 hours, as far as results are kept, and over the last 30 days
}

// keptProbes is how many results are kept of an integration.
const keptProbes = 1000

// Probes returns up to limit of what was seen of an integration since it was
// created last, before a position; 0 is after the last.
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

// month adds up the days that the last result counts.
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
