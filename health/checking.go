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

// checking is one check that is being made.
type checking struct {
	*Checker
	by      commands.Caller
	maxAge  time.Duration
	parked  map[domain.ID]bool
	earlier map[domain.ID]result // what an unfinished check before this one saw
	begun   time.Time

	waiting errgroup.Group // for probes
	last    atomic.Uint64  // the position of the last probe recorded
	mu      sync.Mutex
	seen    map[domain.ID]result
	missed  bool // not all was seen in time
}

// one finds out how an integration is and says so in to, at once or, when it has to
// be probed, once waiting is over.
func (k *checking) one(deadline context.Context, i projections.Integration, to *domain.HealthResult) {
	if k.parked[i.ID] {
		*to = unknown(i.Integration, "can't be probed: its last change can't be read by this version of the service")
		return
	}
	forbidden := k.by.May(i.Integration)
	if k.stands(i, k.maxAge) || forbidden != nil && k.stands(i, always) {
		*to = told(i.Integration, domain.Probe{
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
		k.saw(i.ID, before)
		*to = told(i.Integration, before.Probe)
		return
	}
	of := domain.Integration{ID: i.ID, Workspace: i.Workspace, Incarnation: i.Incarnation, UpdatedAt: i.UpdatedAt}
	label := named(i.Integration) // the page is not kept while probes are waited for
	k.waiting.Go(func() error {
		if deadline.Err() != nil {
			k.miss()
			*to = unknown(label, notInTime)
			return nil
		}
		seen, why := k.probed(deadline, of)
		if why != "" {
			k.miss()
			*to = unknown(label, why)
			return nil
		}
		k.saw(of.ID, seen)
		*to = told(label, seen.Probe)
		return nil
	})
}

// notInTime is why nothing is said of an integration.
const notInTime = "not probed within the time of this check; check again"

func (k *checking) miss() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.missed = true
}

func (k *checking) saw(id domain.ID, seen result) {
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

// unfinished is what a check saw that its time was too short for.
type unfinished struct {
	seen  map[domain.ID]result
	until time.Time
}

const (
	unfinishedFor  = time.Minute
	mostUnfinished = 200_000 // results, of all workspaces
)

// takeUnfinished returns what an unfinished check of a workspace saw, if it was
// asked for a short while ago.
func (c *Checker) takeUnfinished(w domain.Workspace) map[domain.ID]result {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.unfinished[w]
	if c.Now().After(before.until) {
		return nil
	}
	return before.seen
}

// keepUnfinished keeps what a check saw unless it saw all, for as long as there is
// room.
func (c *Checker) keepUnfinished(w domain.Workspace, k *checking) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.unfinished, w)
	room := mostUnfinished
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
