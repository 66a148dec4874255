package eventstore

import (
	"slices"
	"sync"
)

const (
	maxKeptCalls = 2_000
	maxKeptBytes = 4 << 20 // of calls as stored
)

// keptCalls keeps the calls that this process has stored last, at consecutive positions of one log.
// Its readers need not ask the server for them.
type keptCalls struct {
	mu    sync.Mutex
	log   string
	first uint64 // the position of the first one
	all   []CallRecord
	bytes int
	added chan struct{} // closed when there are more; nil: nobody waits
}

// add keeps calls that are stored at consecutive positions. Those that don't follow what is kept
// replace it.
func (k *keptCalls) add(log string, first uint64, calls ...CallRecord) {
	k.mu.Lock()
	defer k.mu.Unlock()
	next := k.first + uint64(len(k.all))
	switch {
	case log == k.log && first < next: // it was overtaken by a later one
		return
	case log != k.log || first > next:
		k.log, k.first, k.all, k.bytes = log, first, nil, 0
	}
	for _, c := range calls {
		k.all, k.bytes = append(k.all, c), k.bytes+len(c.data)
	}
	for len(k.all) > maxKeptCalls || k.bytes > maxKeptBytes {
		k.bytes -= len(k.all[0].data)
		k.first, k.all[0], k.all = k.first+1, CallRecord{}, k.all[1:]
	}
	if k.added != nil {
		close(k.added)
		k.added = nil
	}
}

// after returns what is kept after a position, up to a limit, and whether nothing is missing between. When it
// returns nothing though nothing earlier is missing, a channel is closed once there is more.
func (k *keptCalls) after(log string, position uint64, limit int) (next []CallRecord, whole bool, added <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	end := k.first + uint64(len(k.all))
	if position+1 < end && (log != k.log || position+1 < k.first) {
		return nil, false, nil
	}
	if position+1 < end {
		next = k.all[position+1-k.first:]
		return slices.Clone(next[:min(len(next), limit)]), true, nil // add changes all
	}
	if k.added == nil {
		k.added = make(chan struct{})
	}
	return nil, log == k.log && position+1 == end, k.added
}
