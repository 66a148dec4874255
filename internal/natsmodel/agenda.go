package natsmodel

import (
	"container/heap"
	"time"
)

// agenda is what the server does, and when. No two things share a moment, so their order
// is that of their times.
type agenda struct {
	events events
	taken  map[int64]bool
}

type event struct {
	at time.Time
	do func()
}

// add adds something to do at a moment, or as soon after it as nothing else is done.
func (a *agenda) add(at time.Time, do func()) {
	for a.taken[at.UnixNano()] {
		at = at.Add(time.Nanosecond)
	}
	a.taken[at.UnixNano()] = true
	heap.Push(&a.events, event{at, do})
}

// due removes and returns what is to be done by now; else when the next is due, if there is any.
func (a *agenda) due(now time.Time) (do func(), next time.Time, any bool) {
	if len(a.events) == 0 {
		return nil, time.Time{}, false
	}
	first := a.events[0]
	if first.at.After(now) {
		return nil, first.at, true
	}
	heap.Pop(&a.events)
	delete(a.taken, first.at.UnixNano())
	return first.do, time.Time{}, true
}

// events is a heap by time.
type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) } //nolint:forcetypeassert // of container/heap
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}
