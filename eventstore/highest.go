package eventstore

import "sync"

// highest remembers the last position of the log that this process has seen. The
// log only grows, so one that ends before it, or is another one, has lost events.
type highest struct {
	mu sync.Mutex
	at Mark // without a hash
}

// see notes a position of a log, and returns the highest one seen before. Another
// log than before is left to move.
func (h *highest) see(log string, position uint64) (before uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at.Log == "" {
		h.at.Log = log
	}
	if h.at.Log != log {
		return 0
	}
	before = h.at.Position
	h.at.Position = max(before, position)
	return before
}

func (h *highest) mark() Mark {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

// move goes over to a log that an operator knows to be another one.
func (h *highest) move(log string, position uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at.Log != log {
		h.at = Mark{Log: log, Position: position}
	}
}
