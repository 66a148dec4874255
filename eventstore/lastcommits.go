package eventstore

import (
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
// last. It is a follower of the log that may lag. What it has is of one era: a log that was
// replaced may have another event at the same position.
type lastCommits struct {
	mu    sync.Mutex
	era   era
	bytes int
	all   *simplelru.LRU[domain.Ref, lastCommit]
}

type lastCommit struct {
	Commit
	size int // of the event as stored, in bytes
}

// era is a time during which the log only grew, as far as this process can know.
type era struct {
	log        string
	reconnects uint64
}

// put remembers an event, unless a later one is known.
func (l *lastCommits) put(now era, c lastCommit) { l.change(now, c, true) }

// follow is put for an integration that is known, and does nothing otherwise.
func (l *lastCommits) follow(now era, c lastCommit) { l.change(now, c, false) }

func (l *lastCommits) change(now era, c lastCommit, insert bool) {
	if c.Key != "" || c.Position == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.enter(now)
	before, known := l.all.Peek(c.Ref())
	switch {
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
