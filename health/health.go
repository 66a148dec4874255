// Package health finds out whether integrations can be used: from time to time,
// by schedules that JetStream keeps, and when somebody asks. Probes are a queue
// that any number of processes work on, and what they see are events.
//
// Its one promise: nothing is called healthy that was not seen to be.
package health

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
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
}

// pageSize is how many integrations are read at a time.
const pageSize = 200

// Check has every enabled integration of the caller's workspace probed whose
// last probe is older than maxAge or than its configuration. What is not done in
// time is told as unknown; what the caller may not have started is told as it was
// last seen. Those who ask for the same while a check runs share it, unless
// something has changed since it began, and checks of several processes share
// probes, so that many callers cost upstreams no more than one; a check goes on
// when the one who asked first has gone.
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
	enabled, err := c.enabled(ctx, by.Workspace)
	if err != nil {
		return domain.HealthReport{}, err
	}
	parked, err := c.parked(ctx, by.Workspace)
	if err != nil {
		return domain.HealthReport{}, err
	}
	select {
	case <-c.Results.begun:
	case <-deadline.Done():
	}
	report := domain.HealthReport{CheckedAt: c.Now(), Integrations: make([]domain.HealthResult, len(enabled))}
	var waiting errgroup.Group
	var last atomic.Uint64 // the position of the last probe recorded
	for n, i := range enabled {
		if parked[i.ID] {
			report.Integrations[n] = unknown(i.Integration, "can't be probed: its last change can't be read by this version of the service")
			continue
		}
		forbidden := by.May(i.Integration)
		if c.stands(i, maxAge) || forbidden != nil && c.stands(i, always) {
			report.Integrations[n] = told(i.Integration, domain.Probe{
				Status: i.LastProbe.Status, HTTPStatus: i.LastProbe.HTTPStatus, Duration: i.LastProbe.Duration,
				Message: i.LastProbe.Message, At: i.LastProbe.At,
			})
			continue
		}
		if forbidden != nil {
			report.Integrations[n] = unknown(i.Integration, forbidden.Error())
			continue
		}
		waiting.Go(func() error {
			seen, why := c.probed(deadline, i.Integration)
			if why != "" {
				report.Integrations[n] = unknown(i.Integration, why)
				return nil
			}
			report.Integrations[n] = told(i.Integration, seen.Probe)
			for before := last.Load(); seen.position > before && !last.CompareAndSwap(before, seen.position); before = last.Load() {
			}
			return nil
		})
	}
	if err := waiting.Wait(); err != nil {
		return domain.HealthReport{}, err
	}
	_ = c.Wait(deadline, last.Load()) // the report stands, whether or not listings show it yet
	return report, nil
}

func (c *Checker) enabled(ctx context.Context, w domain.Workspace) ([]projections.Integration, error) {
	var all []projections.Integration
	q := projections.Query{Filter: projections.Filter{Enabled: new(true)}, Sort: projections.Sort{By: projections.Name, Ascending: true}, Limit: pageSize}
	for {
		page, err := c.Read.List(ctx, w, q)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if page.Next == nil {
			return all, nil
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
			return result{}, "not probed within the time of this check; check again"
		}
	}
}

func unknown(i domain.Integration, why string) domain.HealthResult {
	return domain.HealthResult{Integration: i, Probe: domain.Probe{Message: why}}
}

// told is what a probe saw. A built-in that the operator has not set up can't be
// said to be well or ill.
func told(i domain.Integration, p domain.Probe) domain.HealthResult {
	return domain.HealthResult{Integration: i, Probe: p, Known: !i.Builtin || p.Status != domain.Misconfigured}
}
