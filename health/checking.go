package health

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// checking is one running check.
type checking struct {
	*Checker
	by      commands.Caller
	maxAge  time.Duration
	parked  map[domain.ID]bool
	earlier map[domain.ID]result // the results of an unfinished earlier check
	started time.Time

	waiting errgroup.Group // for probes
	last    atomic.Uint64  // the position of the last probe recorded
	mu      sync.Mutex
	seen    map[domain.ID]result
	missed  bool // some integrations were not probed in time
}

// checkOne stores the health of an integration in to: immediately, or if it must be probed, once
// waiting is over.
func (k *checking) checkOne(deadline context.Context, i projections.Integration, to *domain.HealthResult) {
	if k.parked[i.ID] {
		*to = unknown(i.Integration, "can't be probed: this version of the service can't read its last change")
		return
	}
	forbidden := k.by.May(i.Integration)
	if k.isFresh(i, k.maxAge) || forbidden != nil && k.isFresh(i, anyAge) {
		*to = healthOf(i.Integration, domain.Probe{
			Status: i.LastProbe.Status, HTTPStatus: i.LastProbe.HTTPStatus, Duration: i.LastProbe.Duration,
			Message: i.LastProbe.Message, At: i.LastProbe.At,
		})
		return
	}
	if forbidden != nil {
		*to = unknown(i.Integration, forbidden.Error())
		return
	}
	if before, ok := k.earlier[i.ID]; ok && before.Incarnation == i.Incarnation && !before.Probe.At.Before(i.UpdatedAt) {
		k.record(i.ID, before)
		*to = healthOf(i.Integration, before.Probe)
		return
	}
	of := domain.Integration{ID: i.ID, Workspace: i.Workspace, Incarnation: i.Incarnation, UpdatedAt: i.UpdatedAt}
	label := summary(i.Integration) // so that waiting for probes doesn't keep the page in memory
	k.waiting.Go(func() error {
		if deadline.Err() != nil {
			k.recordMiss()
			*to = unknown(label, notInTime)
			return nil
		}
		seen, why := k.probed(deadline, of)
		if why != "" {
			k.recordMiss()
			*to = unknown(label, why)
			return nil
		}
		k.record(of.ID, seen)
		*to = healthOf(label, seen.Probe)
		return nil
	})
}

// notInTime is the message for an integration that was not probed in time.
const notInTime = "not probed within the time of this check; check again"

func (k *checking) recordMiss() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.missed = true
}

func (k *checking) record(id domain.ID, seen result) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.seen == nil {
		k.seen = map[domain.ID]result{}
	}
	kept := result{position: seen.position}
	kept.Incarnation, kept.Probe = seen.Incarnation, seen.Probe
	kept.Probe.Steps = nil
	k.seen[id] = kept
	for before := k.last.Load(); seen.position > before && !k.last.CompareAndSwap(before, seen.position); before = k.last.Load() {
	}
}

// unfinished has the results of a check that ran out of time.
type unfinished struct {
	seen  map[domain.ID]result
	until time.Time
}

const (
	unfinishedFor = time.Minute
	maxUnfinished = 200_000 // results, of all workspaces
)

// takeUnfinished returns the results of an unfinished check of a workspace, if it is
// recent.
func (c *Checker) takeUnfinished(w domain.Workspace) map[domain.ID]result {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.unfinished[w]
	if c.Now().After(before.until) {
		return nil
	}
	return before.seen
}

// keepUnfinished stores the results of a check that did not finish, as far as there is
// room.
func (c *Checker) keepUnfinished(w domain.Workspace, k *checking) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.unfinished, w)
	room := maxUnfinished
	for other, of := range c.unfinished {
		if c.Now().After(of.until) {
			delete(c.unfinished, other)
			continue
		}
		room -= len(of.seen)
	}
	if !k.missed || len(k.seen) > room {
		return
	}
	if c.unfinished == nil {
		c.unfinished = map[domain.Workspace]unfinished{}
	}
	c.unfinished[w] = unfinished{seen: k.seen, until: c.Now().Add(unfinishedFor)}
}
