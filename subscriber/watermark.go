package subscriber

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// maxAhead bounds how far the newest handled event may be ahead of the oldest unfinished one.
const maxAhead = 4096

// watermark tracks which events are being handled, and so the low watermark: the position up to
// which all are done.
type watermark struct {
	room chan struct{}

	mu       sync.Mutex
	open     []entry // in log order
	position uint64  // the low watermark
}

type entry struct {
	position uint64
	done     bool
}

func newWatermark(at uint64) *watermark {
	return &watermark{room: make(chan struct{}, maxAhead), position: at}
}

// begin records that an event is being handled, once there is room. It reports false if ctx
// ends first.
func (w *watermark) begin(ctx context.Context, position uint64) bool {
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

// done records that an event was handled.
func (w *watermark) done(position uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, _ := slices.BinarySearchFunc(w.open, position, func(e entry, p uint64) int { return cmp.Compare(e.position, p) })
	w.open[n].done = true
	for len(w.open) > 0 && w.open[0].done {
		w.position, w.open = w.open[0].position, w.open[1:]
		<-w.room
	}
}

// idle reports whether no event is being handled.
func (w *watermark) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.open) == 0
}

// low returns the low watermark.
func (w *watermark) low() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.position
}
