// Package health finds out whether integrations can be used. A check covers all
// that are enabled, within a bounded time, and never calls healthy what it did
// not see.
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

// Checker checks the enabled integrations of a workspace.
type Checker struct {
	Read     projections.Reader
	Commands *commands.Service
	Wait     func(ctx context.Context, position uint64) error // returns once the read model shows a probe
	Workers  int                                              // probes under way at once
	Within   time.Duration                                    // for a whole check
	Now      func() time.Time

	running singleflight.Group // checks, by workspace and age
}

// pageSize is how many integrations are read at a time.
const pageSize = 200

// Check probes every enabled integration of the caller's workspace whose last
// probe is older than maxAge or than its configuration. What is not done in time
// is told as unknown. Every probe is recorded as an event. What the caller may
// not have started is told as it was last seen. Those who ask for the
// same while a check runs share it, so that many callers cost upstreams no more
// than one; it goes on when the one who asked first has gone.
func (c *Checker) Check(ctx context.Context, by commands.Caller, maxAge time.Duration) (domain.HealthReport, error) {
	shared, err, _ := c.running.Do(fmt.Sprintf("%s %s %t", by.Workspace, maxAge, by.MayExec), func() (any, error) {
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
	report := domain.HealthReport{CheckedAt: c.Now(), Integrations: make([]domain.HealthResult, len(enabled))}
	var probing errgroup.Group
	probing.SetLimit(c.Workers)
	var last atomic.Uint64 // the position of the last probe recorded
	for n, i := range enabled {
		if c.stands(i, maxAge) || by.May(i.Integration) != nil && c.stands(i, always) {
			report.Integrations[n] = result(i.Integration, domain.Probe{
				Status: i.LastProbe.Status, HTTPStatus: i.LastProbe.HTTPStatus, Duration: i.LastProbe.Duration,
				Message: i.LastProbe.Message, At: i.LastProbe.At,
			})
			continue
		}
		probing.Go(func() error {
			var position uint64
			report.Integrations[n], position = c.probe(deadline, by, i.Integration)
			for seen := last.Load(); position > seen && !last.CompareAndSwap(seen, position); seen = last.Load() {
			}
			return nil
		})
	}
	if err := probing.Wait(); err != nil {
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

// always is an age that no probe has.
const always = math.MaxInt64

// stands reports whether the last probe still says how the integration is.
func (c *Checker) stands(i projections.Integration, maxAge time.Duration) bool {
	return i.LastProbe != nil && c.Now().Sub(i.LastProbe.At) < maxAge && i.LastProbe.At.After(i.UpdatedAt)
}

// probe returns what was seen and the position of its record.
func (c *Checker) probe(ctx context.Context, by commands.Caller, i domain.Integration) (domain.HealthResult, uint64) {
	unknown := func(why string) domain.HealthResult {
		return domain.HealthResult{Integration: i, Probe: domain.Probe{Message: why}}
	}
	if ctx.Err() != nil {
		return unknown("not probed within the time of this check; check again"), 0
	}
	probe, position, err := c.Commands.TestConnection(ctx, by, i.ID)
	switch {
	case ctx.Err() != nil:
		return unknown("the probe did not end within the time of this check; check again"), position
	case err != nil && domain.KindOf(err) == domain.Forbidden:
		return unknown(err.Error()), 0
	case err != nil && domain.KindOf(err) == domain.NotFound:
		return unknown("deleted during this check"), 0
	case err != nil && probe.Status == "":
		return unknown("could not be probed just now; check again"), 0
	}
	return result(i, probe), position
}

// result tells what a probe saw. A built-in that the operator has not set up
// can't be said to be well or ill.
func result(i domain.Integration, p domain.Probe) domain.HealthResult {
	return domain.HealthResult{Integration: i, Probe: p, Known: !i.Builtin || p.Status != domain.Misconfigured}
}
