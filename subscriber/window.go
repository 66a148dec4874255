package subscriber

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// widest bounds how far the newest event that is handled may be ahead of the
// oldest that is not done yet.
const widest = 4096

// window knows which events are being handled, and so the position up to which
// all are done.
type window struct {
	room chan struct{}

	mu   sync.Mutex
	open []entry // in the order of the log
	low  uint64
}

type entry struct {
	position uint64
	done     bool
}

func newWindow(at uint64) *window {
	return &window{room: make(chan struct{}, widest), low: at}
}

// begin notes that an event is being handled, once there is room. It reports
// whether there was before ctx ended.
func (w *window) begin(ctx context.Context, position uint64) bool {
	select {
	case w.room <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = append(w.open, entry{position: position})
	return true
}

// done notes that an event was handled.
func (w *window) done(position uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, _ := slices.BinarySearchFunc(w.open, position, func(e entry, p uint64) int { return cmp.Compare(e.position, p) })
	w.open[n].done = true
	for len(w.open) > 0 && w.open[0].done {
		w.low, w.open = w.open[0].position, w.open[1:]
		<-w.room
	}
}

// idle reports whether nothing is being handled.
func (w *window) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.open) == 0
}

// reached returns the position up to which every event was handled.
func (w *window) reached() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.low
}
