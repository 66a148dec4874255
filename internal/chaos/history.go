package chaos

import (
	"sync"
	"time"
)

// History is every operation of a scenario. Any number of clients may add to it.
type History struct {
	began time.Time

	mu         sync.Mutex
	operations []Operation
	newest     Operation         // the acknowledged write with the last position
	atLeast    map[string]uint64 // the last version that was acknowledged or shown, by name
	counts     Counts
	strange    []string // answers that no fault explains
}

// Counts are the operations of a history by their outcome.
type Counts struct {
	Writes, Reads    int // acknowledged
	Refused, Unknown int
}

// Acknowledged returns how many operations were answered with success.
func (c Counts) Acknowledged() int { return c.Writes + c.Reads }

// NewHistory returns a history that begins now.
func NewHistory() *History {
	return &History{began: time.Now(), atLeast: map[string]uint64{}}
}

// Counts returns how the operations ended so far.
func (h *History) Counts() Counts {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counts
}

// Of returns the operations on integrations of these names, by name.
func (h *History) Of(names []string) map[string][]Operation {
	h.mu.Lock()
	defer h.mu.Unlock()
	of := map[string][]Operation{}
	for _, name := range names {
		of[name] = nil
	}
	for _, o := range h.operations {
		if _, asked := of[o.Name]; asked {
			of[o.Name] = append(of[o.Name], o)
		}
	}
	return of
}

// begin notes when an operation is called and, for a Get, what it has to show.
// The position of newest is what it may ask the read model to have reached.
func (h *History) begin(o *Operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o.Call = time.Since(h.began)
	if o.Kind == Get {
		// The event at that position was recorded after its write was called.
		o.Position, o.From, o.AtLeast = h.newest.Position, h.newest.Call, h.atLeast[o.Name]
	}
}

// end adds an operation with its outcome.
func (h *History) end(o Operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o.Return = time.Since(h.began)
	h.operations = append(h.operations, o)
	switch {
	case o.Outcome == Refused:
		h.counts.Refused++
	case o.Outcome == Unknown:
		h.counts.Unknown++
	case o.Kind.Writes():
		h.counts.Writes++
		if o.Position > h.newest.Position {
			h.newest = o
		}
	default:
		h.counts.Reads++
	}
	if o.Outcome == Acknowledged && o.Kind != Look { // the head of the log is ahead of the read model
		h.atLeast[o.Name] = max(h.atLeast[o.Name], o.Version)
	}
}

// odd notes an answer that no fault explains, such as a 500.
func (h *History) odd(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.strange = append(h.strange, what)
}
