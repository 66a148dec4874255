package accesslog

import (
	"sync"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// A class of records has bounds of its own, so that callers without a key can't displace what
// is recorded of others.
type class int

const (
	anonymous class = iota // denied, without a valid key, at no workspace that is known to exist
	aimed                  // denied, without a valid key, at one that is
	known                  // denied, with a key
	used
	classes
)

// bounds of a class.
type bounds struct {
	open   int           // records that may be counted at once; others are cut
	window time.Duration // how long requests are counted in one record
	burst  float64       // records that may be written at once
	rate   float64       // records a second that may be written later
}

// limits are the bounds of each class. In a day callers without a key cause at most 26,000
// records, of some 500 bytes, and 1,000 at once.
func limits(c class) bounds {
	switch c {
	case anonymous:
		return bounds{open: 2000, window: 5 * time.Minute, burst: 250, rate: 0.1}
	case aimed:
		return bounds{open: 2000, window: 5 * time.Minute, burst: 500, rate: 0.15}
	case known:
		return bounds{open: 4000, window: 5 * time.Minute, burst: 2000, rate: 2}
	default:
		return bounds{open: 10_000, window: 15 * time.Minute, burst: 5000, rate: 5}
	}
}

// shares is into how many parts the bounds of a class are divided: one workspace can take one, so
// that its callers displace nothing of another. Callers without a key may name any workspace, so
// the bounds of those who name none that exists are not divided.
const shares = 4

// Several workspaces could take all shares together. So each of up to guarded workspaces can have a few
// records besides, whatever the others take: their bounds add up to those of the reserve of a class.
const (
	guarded     = 50
	few         = 5 // records of one workspace that may be counted, and written, at once
	reserve     = guarded * few
	reserveRate = 0.05 // records a second, of all of them
)

// maxCut is of how many workspaces it is counted in one window what was cut. What was cut of others is
// counted together, so that what was cut causes few records itself.
const maxCut = 20

func (r Record) class() class {
	switch {
	case r.Kind == Used:
		return used
	case r.Key == "" && r.aimed:
		return aimed
	case r.Key == "":
		return anonymous
	}
	return known
}

// gathering counts requests that are alike. The zero value is ready.
type gathering struct {
	mu      sync.Mutex
	classes [classes]gathered
	cut     map[domain.Workspace]Record // of all classes
}

// gathered is the gathering of one class.
type gathered struct {
	budget

	reserved budget
	open     map[like]*opened
	by       map[domain.Workspace]*taken
}

// taken is what a workspace has taken of its share.
type taken struct {
	budget

	reserved budget
	open     int
}

// budget is how many records were written, less what the rate has given back since.
type budget struct {
	spent float64
	at    time.Time
}

func (b *budget) giveBack(now time.Time, rate float64) {
	b.spent = max(0, b.spent-now.Sub(b.at).Seconds()*rate)
	b.at = now
}

// opened is a record whose window has not ended. Its count is of what is not written.
type opened struct {
	Record

	since time.Time
}

// add counts one request.
func (g *gathering) add(r Record) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.merge(r)
}

// take returns what was counted, and empties the counts.
func (g *gathering) take() []Record {
	g.mu.Lock()
	defer g.mu.Unlock()
	var records []Record
	for n := range g.classes {
		for _, o := range g.classes[n].open {
			records = append(records, o.Record)
		}
		g.classes[n].open, g.classes[n].by = nil, nil
	}
	for _, cut := range g.cut {
		records = append(records, cut)
	}
	g.cut = nil
	return records
}

func (g *gathering) merge(r Record) {
	if r.Kind == Cut {
		g.cutOff(r)
		return
	}
	c := &g.classes[r.class()]
	if o := c.open[r.like()]; o != nil {
		if o.Count == 0 { // what came before is written
			o.Record = r
			return
		}
		o.Count += r.Count
		o.Last = latest(o.Last, r.Last)
		return
	}
	own, most := c.taken(r), limits(r.class()).open
	if !c.hasRoom(own, most) {
		g.cutOff(r)
		return
	}
	if c.open == nil {
		c.open = map[like]*opened{}
	}
	c.open[r.like()] = &opened{r, r.First}
	if own != nil {
		own.open++
	}
}

// hasRoom reports whether another record may be counted, of a workspace that has taken own.
func (c *gathered) hasRoom(own *taken, most int) bool {
	if own == nil {
		return len(c.open) < most
	}
	return len(c.open) < most && own.open < most/shares || len(c.open) < most+reserve && own.open < few
}

// spend takes one record from the budgets, and reports whether they had it.
func (c *gathered) spend(own *taken, burst float64) bool {
	switch {
	case c.spent+1 <= burst && (own == nil || own.spent+1 <= burst/shares):
		c.spent++
		if own != nil {
			own.spent++
		}
		return true
	case own != nil && c.reserved.spent+1 <= reserve && own.reserved.spent+1 <= few:
		c.reserved.spent++
		own.reserved.spent++
		return true
	}
	return false
}

// taken returns what the workspace of a record has taken; nil: its class has no shares.
func (c *gathered) taken(r Record) *taken {
	if r.class() == anonymous {
		return nil
	}
	own := c.by[r.Workspace]
	if own == nil {
		if c.by == nil {
			c.by = map[domain.Workspace]*taken{}
		}
		own = &taken{budget: budget{at: c.at}, reserved: budget{at: c.at}}
		c.by[r.Workspace] = own
	}
	return own
}

// cutOff counts requests that no record is written of: for their workspace, if it exists.
func (g *gathering) cutOff(r Record) {
	of := r.Workspace
	if _, counted := g.cut[of]; r.Kind != Cut && r.class() == anonymous || !counted && len(g.cut) >= maxCut {
		of = all
	}
	cut, counted := g.cut[of]
	if !counted {
		cut = Record{Kind: Cut, Workspace: of, First: r.First}
		if of != all {
			cut.Asked = of
		}
	}
	cut.Count += r.Count
	cut.Last = latest(cut.Last, r.Last)
	if g.cut == nil {
		g.cut = map[domain.Workspace]Record{}
	}
	g.cut[of] = cut
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// due returns the records to write now: of requests that were not seen before in their window,
// and the rest of those whose window has ended. In the end, everything is due.
func (g *gathering) due(now time.Time, end bool) []Record {
	g.mu.Lock()
	defer g.mu.Unlock()
	var records []Record
	for n := range g.classes {
		c, limit := &g.classes[n], limits(class(n))
		c.giveBack(now, limit.rate)
		c.reserved.giveBack(now, reserveRate)
		for of, own := range c.by {
			own.giveBack(now, limit.rate/shares)
			own.reserved.giveBack(now, reserveRate/guarded)
			if own.spent == 0 && own.reserved.spent == 0 && own.open == 0 {
				delete(c.by, of)
			}
		}
		for of, o := range c.open {
			own := c.taken(o.Record)
			ended := end || now.Sub(o.since) >= limit.window
			first := o.Count > 0 && o.First.Equal(o.since) // nothing of it is written
			switch {
			case o.Count > 0 && (first || ended) && c.spend(own, limit.burst):
				records = append(records, o.Record)
				o.Count = 0
			case o.Count > 0 && ended:
				g.cutOff(o.Record)
			}
			if ended {
				delete(c.open, of)
				if own != nil {
					own.open--
				}
			}
		}
	}
	for of, cut := range g.cut {
		if end || now.Sub(cut.First) >= limits(anonymous).window {
			records = append(records, cut)
			delete(g.cut, of)
		}
	}
	return records
}
