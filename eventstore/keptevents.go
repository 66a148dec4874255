package eventstore

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// ownCommit is an event that this process has appended.
type ownCommit struct {
	lastCommit

	sealed Commit // as messageCache has it
	era    era    // in which its append began
}

const (
	maxKeptEvents     = 1_000
	maxKeptEventBytes = 2 << 20 // of events as stored

	checkKept = time.Second           // how often a reader without anything new asks the server whether there is
	ackWait   = 50 * time.Millisecond // for the acknowledgement of what a reader has already, or of what a later one overtook
)

// keptEvents keeps the events that this process appended last while nobody else could append, at
// consecutive positions. Followers of the log need not ask the server for them.
type keptEvents struct {
	mu      sync.Mutex
	era     era                  // in which all of them were acknowledged
	first   uint64               // the position of the first one
	all     []keptEvent          // what is on disk
	later   map[uint64]keptEvent // what is on disk after a position that is not known yet, by position
	bytes   int                  // of all of these, as stored
	awaits  bool                 // whether a timer runs for what is missing
	added   chan struct{}        // closed when there are more; nil: nobody waits
	checked time.Time            // when the log was last found to end with them
}

// keptEvent is an event as messageCache has it: what is stored of persons may be erased meanwhile.
type keptEvent struct {
	sealed Commit
	size   int // as stored, in bytes
}

// add keeps events that are on disk in the present log. Their appends may have begun before another
// program left: what is kept has no gap, so nobody else's event can be between. Appends that were sent
// alone may be acknowledged in another order than they were stored.
func (k *keptEvents) add(now era, events ...ownCommit) {
	k.mu.Lock()
	defer k.mu.Unlock()
	era, end := k.era, k.end()
	for _, c := range events {
		switch {
		case !now.alone || c.era.log != now.log || c.era.reconnects != now.reconnects:
			continue
		case k.era != now:
			k.start(now, c.Position)
		case c.Position < k.end():
			continue
		}
		if len(k.later) == maxKeptEvents || len(k.all) == 0 && k.bytes > maxKeptEventBytes { // what is missing was not acknowledged
			k.start(now, c.Position)
		}
		k.hold(keptEvent{c.sealed, c.size})
		k.settle()
	}
	if k.era != era || k.end() != end {
		k.wake()
	}
}

// start forgets everything, and begins at a position.
func (k *keptEvents) start(now era, first uint64) {
	k.era, k.first, k.all, k.later, k.bytes = now, first, nil, map[uint64]keptEvent{}, 0
}

// hold keeps an event until what is before it is known.
func (k *keptEvents) hold(c keptEvent) {
	if _, held := k.later[c.sealed.Position]; held {
		return
	}
	k.later[c.sealed.Position] = c
	k.bytes += c.size
}

// settle moves what is next to what has no gap, and forgets what is too much.
func (k *keptEvents) settle() {
	for c, next := k.later[k.end()]; next; c, next = k.later[k.end()] {
		delete(k.later, k.end())
		k.all = append(k.all, c)
	}
	for len(k.all) > maxKeptEvents || len(k.all) > 0 && k.bytes > maxKeptEventBytes {
		k.bytes -= k.all[0].size
		k.first, k.all[0], k.all = k.first+1, keptEvent{}, k.all[1:]
	}
	if len(k.later) > 0 && !k.awaits {
		k.awaits = true
		of, end := k.era, k.end()
		time.AfterFunc(ackWait, func() { k.giveUp(of, end) })
	}
}

// giveUp goes on after what is still missing: its append ended without an acknowledgement, or another
// program sent it before its connection ended. Readers have it from the server.
func (k *keptEvents) giveUp(of era, end uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.awaits = false
	if k.era == of && k.end() == end && len(k.later) > 0 {
		k.goOn(slices.Min(slices.Collect(maps.Keys(k.later))))
		return
	}
	k.settle() // perhaps something else is missing
}

// end is the position after the last one.
func (k *keptEvents) end() uint64 { return k.first + uint64(len(k.all)) }

func (k *keptEvents) wake() {
	if k.added != nil {
		close(k.added)
		k.added = nil
	}
}

// lose forgets everything: it is unknown what the log has.
func (k *keptEvents) lose() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.start(era{}, 0)
	k.wake()
}

// after returns what is kept after a position, up to a limit, and whether nothing is missing between.
// When it returns nothing though nothing is missing, a channel is closed once there is more.
func (k *keptEvents) after(now era, position uint64, limit int) (next []Commit, whole bool, added <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !now.alone || now != k.era || position+1 < k.first || position+1 > k.end() {
		return nil, false, nil
	}
	for _, c := range k.all[position+1-k.first:] {
		if len(next) == limit {
			break
		}
		next = append(next, c.sealed)
	}
	if len(next) > 0 {
		return next, true, nil
	}
	return nil, true, k.more()
}

func (k *keptEvents) more() <-chan struct{} {
	if k.added == nil {
		k.added = make(chan struct{})
	}
	return k.added
}

// keeps reports whether nothing after a position is missing. It returns a channel if a reader at that
// position is ahead, which is closed once there is more.
func (k *keptEvents) keeps(now era, position uint64) (whole bool, ahead <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case !now.alone || now != k.era || position+1 < k.first:
		return false, nil
	case position+1 > k.end():
		return false, k.more()
	}
	return true, nil
}

// skip goes on after a position that a reader has from the server, if what is before it is still not
// acknowledged.
func (k *keptEvents) skip(now era, position uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now != k.era || position+1 <= k.end() {
		return
	}
	k.goOn(position + 1)
}

// goOn begins at a position with what is kept of later ones.
func (k *keptEvents) goOn(first uint64) {
	later := k.later
	k.start(k.era, first)
	for at, c := range later {
		if at >= first {
			k.hold(c)
		}
	}
	k.settle()
	k.wake()
}

// check reports whether it is time to ask the server for the end of the log: one of all readers does.
func (k *keptEvents) check() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Since(k.checked) < checkKept*9/10 {
		return false
	}
	k.checked = time.Now() //nolint:forbidigo // measures a duration
	return true
}
