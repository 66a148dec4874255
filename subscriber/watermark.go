package subscriber

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// maxInFlight bounds the events between the oldest that is not handled yet and the
// newest that is.
const maxInFlight = 4096

// watermark is the position up to which all events are handled.
type watermark struct {
	room chan struct{}

	mu   sync.Mutex
	open []entry // in flight, in the order of the log
	low  uint64
}

type entry struct {
	position uint64
	done     bool
}

func newWatermark(at uint64) *watermark {
	return &watermark{room: make(chan struct{}, maxInFlight), low: at}
}

// start adds an event in flight, once there is room. It returns false when ctx ends
// before.
func (w *watermark) start(ctx context.Context, position uint64) bool {
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
		w.low, w.open = w.open[0].position, w.open[1:]
		<-w.room
	}
}

// idle reports whether no event is in flight.
func (w *watermark) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.open) == 0
}

// position returns the position up to which every event was handled.
func (w *watermark) position() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.low
}
