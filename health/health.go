// Package health checks whether integrations can be used: on a schedule, and on request.
// Probes go through a queue that any number of processes work on, and their results are
// events.
//
// An integration is only reported healthy after a successful probe.
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

// Checker checks the enabled integrations of a workspace. It doesn't probe them itself: it
// requests probes and waits for their results.
type Checker struct {
	Read    projections.Reader
	Queue   *Queue
	Results *Results
	Wait    func(ctx context.Context, position uint64) error // returns once the read model shows a probe
	Within  time.Duration                                    // for a whole check
	Now     func() time.Time

	Position func() uint64 // of the read model in the log of integrations

	running singleflight.Group // checks, by workspace, age and position

	mu         sync.Mutex
	unfinished map[domain.Workspace]unfinished
}

const (
	pageSize = 200 // integrations read at a time
	maxAsked = 64  // probes that one check waits for at once
)

// Check requests a probe of every enabled integration of the caller's workspace whose last
// probe is older than maxAge or than its configuration. Integrations that are not probed in
// time are unknown; those that the caller may not start show their last probe.
//
// Concurrent checks of the same workspace share one run, unless something has changed since
// it started or they see different integrations, and checks of several processes share probes, so that many callers cost an
// upstream no more than one. A check continues when its first caller has gone. A check that
// ran out of time continues where it was when it is requested again within a minute.
func (c *Checker) Check(ctx context.Context, by commands.Caller, maxAge time.Duration) (domain.HealthReport, error) {
	shared, err, _ := c.running.Do(fmt.Sprintf("%s %s %t %d %q", by.Workspace, maxAge, by.MayExec, c.Position(), domain.ScopeOf(ctx)), func() (any, error) {
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
	case <-c.Results.started:
	case <-deadline.Done():
	}
	k := &checking{Checker: c, by: by, maxAge: maxAge, parked: parked, earlier: c.takeUnfinished(by.Workspace), started: c.Now()}
	k.waiting.SetLimit(maxAsked)
	var pages [][]domain.HealthResult
	err = c.enabled(ctx, by.Workspace, func(page []projections.Integration) {
		results := make([]domain.HealthResult, len(page))
		pages = append(pages, results)
		for n, i := range page {
			k.checkOne(deadline, i, &results[n])
		}
	})
	_ = k.waiting.Wait() // none fails
	if err != nil {
		return domain.HealthReport{}, err
	}
	report := domain.HealthReport{CheckedAt: k.started, Integrations: slices.Concat(pages...)}
	c.keepUnfinished(by.Workspace, k)
	_ = c.Wait(deadline, k.last.Load()) // the report is valid, whether or not listings show it yet
	return report, nil
}

// enabled calls do for each page of the enabled integrations of a workspace.
func (c *Checker) enabled(ctx context.Context, w domain.Workspace, do func([]projections.Integration)) error {
	q := projections.Query{Filter: projections.Filter{Enabled: new(true)}, Sort: projections.Sort{By: projections.Name, Ascending: true}, Limit: pageSize, NoTotal: true}
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

// parked returns the integrations of a workspace whose last event is unreadable, so that
// they can't be probed.
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

// anyAge is older than any probe.
const anyAge = math.MaxInt64

// isFresh reports whether the last probe is recent enough and of the present configuration.
func (c *Checker) isFresh(i projections.Integration, maxAge time.Duration) bool {
	return i.LastProbe != nil && c.Now().Sub(i.LastProbe.At) < maxAge && i.LastProbe.At.After(i.UpdatedAt)
}

// firstRetry is how long a check waits before it requests a probe again, doubling each time.
// A request is lost while the previous probe is being recorded and still in the queue.
const firstRetry = 100 * time.Millisecond

// probed requests a probe of i and returns its result, or why there is none. The result of
// a running probe is used, unless it started before the last change of i; then the next one
// is.
func (c *Checker) probed(ctx context.Context, i domain.Integration) (seen result, why string) {
	results, after, end := c.Results.watch(domain.Ref{Workspace: i.Workspace, ID: i.ID})
	defer end()
	stale := false // a result was of a probe that started too early
	for wait := firstRetry; ; wait *= 2 {
		if err := c.Queue.Request(ctx, i.Workspace, i.ID, after); err != nil {
			return result{}, "could not be probed; check again"
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
	return domain.HealthResult{Integration: summary(i), Probe: domain.Probe{Message: why}}
}

// healthOf returns the health that a probe shows. That of a built-in which the operator has
// not configured is unknown.
func healthOf(i domain.Integration, p domain.Probe) domain.HealthResult {
	p.Steps = nil
	return domain.HealthResult{Integration: summary(i), Probe: p, Known: !i.Builtin || p.Status != domain.Misconfigured}
}

// summary returns what a report contains of an integration, without its configuration: a
// workspace may have many, and their configurations are large.
func summary(i domain.Integration) domain.Integration {
	return domain.Integration{
		ID: i.ID, Workspace: i.Workspace, Name: i.Name, Builtin: i.Builtin,
		Configuration: domain.Configuration{DisplayName: i.DisplayName, Protocol: i.Protocol},
	}
}
