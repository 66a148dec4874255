// Package health finds out whether integrations can be used: from time to time,
// by a timetable, and when somebody asks. Probes are a queue
// that any number of processes work on, and what they see are events.
//
// Its one promise: nothing is called healthy that was not seen to be.
package health

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// Checker checks the enabled integrations of a workspace. It probes nothing
// itself: it asks, and waits for what is seen.
type Checker struct {
	Read    projections.Reader
	Queue   *Queue
	Results *Results
	Wait    func(ctx context.Context, position uint64) error // returns once the read model shows a probe
	Within  time.Duration                                    // for a whole check
	Now     func() time.Time

	Position func() uint64 // up to which the read model shows the log of integrations

	running singleflight.Group // checks, by workspace, age and position

	mu         sync.Mutex
	unfinished map[domain.Workspace]unfinished
}

const (
	pageSize  = 200 // integrations that are read at a time
	mostAsked = 64  // probes that one check waits for at once
)

// Check has every enabled integration of the caller's workspace probed whose
// last probe is older than maxAge or than its configuration. What is not done in
// time is told as unknown; what the caller may not have started is told as it was
// last seen. Those who ask for the same while a check runs share it, unless
// something has changed since it began, and checks of several processes share
// probes, so that many callers cost upstreams no more than one; a check goes on
// when the one who asked first has gone. One that its time was too short for goes on
// where it was when it is asked for again within a minute.
func (c *Checker) Check(ctx context.Context, by commands.Caller, maxAge time.Duration) (domain.HealthReport, error) {
	shared, err, _ := c.running.Do(fmt.Sprintf("%s %s %t %d", by.Workspace, maxAge, by.MayExec, c.Position()), func() (any, error) {
		return c.check(context.WithoutCancel(ctx), by, maxAge)
	})
	report, _ := shared.(domain.HealthReport)
	return report, err
}

func (c *Checker) check(ctx context.Context, by commands.Caller, maxAge time.Duration) (domain.HealthReport, error) {
	deadline, cancel := context.WithTimeout(ctx, c.Within)
	defer cancel()
	parked, err := c.parked(ctx, by.Workspace)
	if err != nil {
		return domain.HealthReport{}, err
	}
	select {
	case <-c.Results.begun:
	case <-deadline.Done():
	}
	k := &checking{Checker: c, by: by, maxAge: maxAge, parked: parked, earlier: c.takeUnfinished(by.Workspace), begun: c.Now()}
	k.waiting.SetLimit(mostAsked)
	var pages [][]domain.HealthResult
	err = c.enabled(ctx, by.Workspace, func(page []projections.Integration) {
		results := make([]domain.HealthResult, len(page))
		pages = append(pages, results)
		for n, i := range page {
			k.one(deadline, i, &results[n])
		}
	})
	_ = k.waiting.Wait() // none fails
	if err != nil {
		return domain.HealthReport{}, err
	}
	report := domain.HealthReport{CheckedAt: k.begun, Integrations: slices.Concat(pages...)}
	c.keepUnfinished(by.Workspace, k)
	_ = c.Wait(deadline, k.last.Load()) // the report stands, whether or not listings show it yet
	return report, nil
}

// enabled calls do for each page of the enabled integrations of a workspace.
func (c *Checker) enabled(ctx context.Context, w domain.Workspace, do func([]projections.Integration)) error {
	q := projections.Query{Filter: projections.Filter{Enabled: new(true)}, Sort: projections.Sort{By: projections.Name, Ascending: true}, Limit: pageSize}
	for {
		page, err := c.Read.List(ctx, w, q)
		if err != nil {
			return err
		}
		do(page.Items)
		if page.Next == nil {
			return nil
		}
		q.After = page.Next
	}
}

// parked returns those of a workspace whose last event can't be read, so that
// nobody can probe them.
func (c *Checker) parked(ctx context.Context, w domain.Workspace) (map[domain.ID]bool, error) {
	all, err := c.Read.Store.Parked(ctx)
	if err != nil {
		return nil, err
	}
	parked := map[domain.ID]bool{}
	for _, p := range all {
		if p.Workspace == w {
			parked[p.ID] = true
		}
	}
	return parked, nil
}

// always is an age that no probe has.
const always = math.MaxInt64

// stands reports whether the last probe still says how the integration is.
func (c *Checker) stands(i projections.Integration, maxAge time.Duration) bool {
	return i.LastProbe != nil && c.Now().Sub(i.LastProbe.At) < maxAge && i.LastProbe.At.After(i.UpdatedAt)
}

// askAgain is how long a check waits before it asks again, twice as long each
// time: who asks while the probe before is recorded, and not yet off the queue,
// is not heard.
const askAgain = 100 * time.Millisecond

// probed asks for a probe of i and returns what it saw, or why nothing was seen.
// A probe that was under way already will do, unless it began before i was
// changed last; then the next one does.
func (c *Checker) probed(ctx context.Context, i domain.Integration) (seen result, why string) {
	results, after, end := c.Results.watch(key{i.Workspace, i.ID})
	defer end()
	stale := false // one was seen that began too early
	for wait := askAgain; ; wait *= 2 {
		if err := c.Queue.Ask(ctx, i.Workspace, i.ID, after); err != nil {
			return result{}, "could not be probed just now; check again"
		}
		select {
		case seen = <-results:
			if stale || seen.Incarnation == i.Incarnation && !seen.Probe.At.Before(i.UpdatedAt) {
				return seen, ""
			}
			stale, after = true, seen.position
		case <-time.After(wait):
		case <-ctx.Done():
			return result{}, notInTime
		}
	}
}

func unknown(i domain.Integration, why string) domain.HealthResult {
	return domain.HealthResult{Integration: named(i), Probe: domain.Probe{Message: why}}
}

// told is what a probe saw. A built-in that the operator has not set up can't be
// said to be well or ill.
func told(i domain.Integration, p domain.Probe) domain.HealthResult {
	p.Steps = nil
	return domain.HealthResult{Integration: named(i), Probe: p, Known: !i.Builtin || p.Status != domain.Misconfigured}
}

// named is what a report says of an integration: a workspace may have many, and
// their configurations are large.
func named(i domain.Integration) domain.Integration {
	return domain.Integration{
		ID: i.ID, Workspace: i.Workspace, Name: i.Name, Builtin: i.Builtin,
		Configuration: domain.Configuration{DisplayName: i.DisplayName, Protocol: i.Protocol},
	}
}
