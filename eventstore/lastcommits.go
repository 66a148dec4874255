package eventstore

import (
	"strings"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/seed677028b5/integrations/domain"
)

// How much lastCommits keeps.
const (
	maxLast      = 4096     // integrations
	maxLastBytes = 16 << 20 // of their events, as stored
)

// lastCommits keeps the last event of the integrations that this process changed or loaded
// last. It is a follower of the log that may lag, but for what current returns. What it has is of
// one era: a log that was replaced may have another event at the same position.
type lastCommits struct {
	mu    sync.Mutex
	era   era
	bytes int
	all   *simplelru.LRU[domain.Ref, lastCommit]
	under map[domain.Ref]*underway
}

// underway is what has begun of one integration and has not ended.
type underway struct {
	loads, appends int
	crossed        bool   // an append was not alone, so that what was put last may not be the last event
	seen           uint64 // the highest position of an event that was seen meanwhile; an earlier one is not put
}

type lastCommit struct {
	Commit
	size int // of the event as stored, in bytes
}

// era is a time during which the log only grew, as far as this process can know. What is put must be
// of the era in which its load or append began.
type era struct {
	log        string
	reconnects uint64
	others     uint64 // connections of other programs that the server has accepted
	alone      bool   // and none of them is open: nobody else can append in this era
}

// begin must be called before an event is loaded to be put, or appended, and the function that it
// returns after that. When an append meets a load or another append of its integration, the order in
// which they put their events says nothing, and none is kept.
func (l *lastCommits) begin(of domain.Ref, appends bool) (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.under[of]
	if now == nil {
		if l.under == nil {
			l.under = map[domain.Ref]*underway{}
		}
		now = &underway{}
		l.under[of] = now
	}
	if appends {
		now.appends++
	} else {
		now.loads++
	}
	now.crossed = now.crossed || now.appends > 0 && now.appends+now.loads > 1
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if appends {
			now.appends--
		} else {
			now.loads--
		}
		if now.appends+now.loads > 0 {
			return
		}
		delete(l.under, of)
		if now.crossed && l.all != nil {
			l.all.Remove(of)
		}
	}
}

// current returns the last event of an integration, if it is known and nobody else can append.
func (l *lastCommits) current(now era, of domain.Ref) (Commit, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if under := l.under[of]; !now.alone || under != nil && (under.appends > 0 || under.crossed) {
		return Commit{}, false
	}
	l.enter(now)
	c, known := l.all.Get(of)
	return c.Commit, known
}

// notice forgets the event of an integration when a later one is read, and keeps out what began
// before that and has not been put. It must be called before the later event is shown to anybody.
func (l *lastCommits) notice(subject string, position uint64) {
	if !strings.HasPrefix(subject, logPrefix) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.under) == 0 && (l.all == nil || l.all.Len() == 0) {
		return
	}
	w, id, key := parseSubject(subject)
	of := domain.Ref{Workspace: w, ID: id}
	if key != "" {
		return
	}
	l.see(of, position)
	if l.all == nil {
		return
	}
	if before, known := l.all.Peek(of); known && before.Position < position {
		l.all.Remove(of)
	}
}

// see records that an event was seen, for what is under way of its integration, and reports whether
// no later one was. What is not under way needs no record: it begins after the event was stored.
func (l *lastCommits) see(of domain.Ref, position uint64) (last bool) {
	now := l.under[of]
	if now == nil {
		return true
	}
	if position < now.seen {
		return false
	}
	now.seen = position
	return true
}

// forget forgets the event of an integration.
func (l *lastCommits) forget(of domain.Ref) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all != nil {
		l.all.Remove(of)
	}
}

// put remembers an event, unless a later one is known or was seen since its load or append began.
func (l *lastCommits) put(now era, c lastCommit) { l.change(now, c, true) }

// follow is put for an integration that is known, and does nothing otherwise.
func (l *lastCommits) follow(now era, c lastCommit) { l.change(now, c, false) }

func (l *lastCommits) change(now era, c lastCommit, insert bool) {
	if c.Key != "" || c.Position == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.see(c.Ref(), c.Position)
	l.enter(now)
	before, known := l.all.Peek(c.Ref())
	switch {
	case !last:
		return
	case !known && !insert, known && before.Position >= c.Position:
		return
	case c.Err != nil: // it is loaded, and refused, each time
		l.all.Remove(c.Ref())
		return
	case known:
		l.bytes -= before.size
	}
	l.all.Add(c.Ref(), c)
	for l.bytes += c.size; l.bytes > maxLastBytes; {
		l.all.RemoveOldest()
	}
}

func (l *lastCommits) get(now era, of domain.Ref) (Commit, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.enter(now)
	c, known := l.all.Get(of)
	return c.Commit, known
}

// enter forgets everything when another era has begun.
func (l *lastCommits) enter(now era) {
	if l.all != nil && l.era == now {
		return
	}
	l.era, l.bytes = now, 0
	l.all, _ = simplelru.NewLRU(maxLast, func(_ domain.Ref, c lastCommit) { l.bytes -= c.size }) // the size is valid
}
