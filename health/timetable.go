package health

import (
	"cmp"
	"container/heap"
	"hash/fnv"
	"slices"
	"time"

	"github.com/seed677028b5/integrations/domain"
)

// timetable knows when each integration is probed next. Each has slots at its own interval
// and offset, which follow from its id and the calendar: a restart moves none of them, and
// they are spread evenly. A missed slot is made up for between the others.
type timetable struct {
	entries map[domain.Ref]*entry
	next    slots     // ordered by due time
	missed  []*entry  // with a missed slot, oldest first
	rate    float64   // probes per second, in total
	made    time.Time // when a missed slot was last made up for
	at      uint64    // the position of the timetable in the log
}

// entry is an integration that is probed by schedule.
type entry struct {
	of     domain.Ref
	every  time.Duration
	at     time.Time // its next slot
	last   int64     // when it was last probed, in microseconds; 0: never
	index  int32     // in next; -1: removed
	missed bool
}

func newTimetable() *timetable { return &timetable{entries: map[domain.Ref]*entry{}} }

// slot returns the last slot of an integration up to a time.
func slot(of domain.Ref, every time.Duration, until time.Time) time.Time {
	h := fnv.New64a()
	_, _ = h.Write([]byte(string(of.Workspace) + "." + string(of.ID)))
	offset := int64(h.Sum64() % uint64(every)) //nolint:gosec // less than every
	since := until.UnixNano() - offset
	return time.Unix(0, since-since%int64(every)+offset).UTC()
}

// set schedules an integration at an interval from its next slot on; 0: never.
func (t *timetable) set(of domain.Ref, every time.Duration, now time.Time) {
	e := t.entries[of]
	if e != nil && e.every == every {
		return
	}
	if e != nil {
		t.rate -= 1 / e.every.Seconds()
		heap.Remove(&t.next, int(e.index))
		e.index, e.missed = -1, false
		delete(t.entries, of)
	}
	if every <= 0 {
		return
	}
	e = &entry{of: of, every: every, at: slot(of, every, now).Add(every)}
	t.entries[of] = e
	t.rate += 1 / every.Seconds()
	heap.Push(&t.next, e)
}

// probed records when an integration was last probed.
func (t *timetable) probed(of domain.Ref, last time.Time) {
	if e := t.entries[of]; e != nil {
		e.last = last.UnixMicro()
	}
}

// makeUp makes sure that slots which have passed since the last probes are made up for, oldest
// first.
func (t *timetable) makeUp(now time.Time) {
	for of, e := range t.entries {
		if !e.missed && (e.last == 0 || e.last < slot(of, e.every, now).UnixMicro()) {
			e.missed = true
			t.missed = append(t.missed, e)
		}
	}
	slices.SortFunc(t.missed, func(a, b *entry) int { return cmp.Compare(a.last, b.last) })
}

// due returns the integrations whose slots have come, and one with a missed slot if it is
// time for it: half as many of those as there are slots, so that a restart makes no burst.
func (t *timetable) due(now time.Time) (all []domain.Ref) {
	for len(t.next) > 0 && !t.next[0].at.After(now) {
		e := t.next[0]
		all = append(all, e.of)
		e.missed = false
		e.at = slot(e.of, e.every, now).Add(e.every)
		heap.Fix(&t.next, 0)
	}
	for len(t.missed) > 0 && now.Sub(t.made) >= t.pause() {
		e := t.missed[0]
		t.missed = t.missed[1:]
		if e.missed && e.index >= 0 { // otherwise its slot has come, or it is gone
			e.missed = false
			t.made = now
			all = append(all, e.of)
			break
		}
	}
	return all
}

// pause returns the time between two missed slots that are made up for.
func (t *timetable) pause() time.Duration {
	if t.rate <= 0 {
		return 0
	}
	return time.Duration(2 / t.rate * float64(time.Second))
}

// wait returns the time until something is due.
func (t *timetable) wait(now time.Time) time.Duration {
	wait := time.Minute
	if len(t.next) > 0 {
		wait = min(wait, t.next[0].at.Sub(now))
	}
	if len(t.missed) > 0 {
		wait = min(wait, t.pause()-now.Sub(t.made))
	}
	return max(wait, 0)
}

// slots is a heap (container/heap) of entries by their next slot.
type slots []*entry

func (s slots) Len() int           { return len(s) }
func (s slots) Less(i, j int) bool { return s[i].at.Before(s[j].at) }
func (s slots) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].index, s[j].index = int32(i), int32(j) //nolint:gosec // fewer than 2^31
}

// Push implements heap.Interface.
func (s *slots) Push(x any) {
	e := x.(*entry)          //nolint:forcetypeassert // only set pushes
	e.index = int32(len(*s)) //nolint:gosec // fewer than 2^31
	*s = append(*s, e)
}

// Pop implements heap.Interface.
func (s *slots) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}
