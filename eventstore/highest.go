package eventstore

import "sync"

// highest remembers the last position of the log that this process has seen. The log
// only grows, so one that ends earlier has lost events or is another log.
type highest struct {
	mu sync.Mutex
	at Mark // without a hash
}

// observe records a position of a log and returns the highest one seen before. It ignores
// positions of another log; see switchTo.
func (h *highest) observe(log string, position uint64) (before uint64) {
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

// switchTo switches to a log that an operator knows to be another one.
func (h *highest) switchTo(log string, position uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at.Log != log {
		h.at = Mark{Log: log, Position: position}
	}
}
