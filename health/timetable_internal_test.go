package health

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

const (
	crowd = 3000
	pace  = 5 * time.Minute
)

var epoch = time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)

func member(n int) domain.Ref {
	return domain.Ref{Workspace: "acme", ID: domain.ID(fmt.Sprint("crm-", n))}
}

// site probes a crowd of integrations, second by second.
type site struct {
	table *timetable
	last  map[domain.Ref]time.Time
	peak  int // probes in one second
}

// restart starts with a timetable that knows only the log.
func (s *site) restart(now time.Time) {
	s.table = newTimetable()
	for n := range crowd {
		s.table.set(member(n), pace, now)
		if last, ok := s.last[member(n)]; ok {
			s.table.probed(member(n), last)
		}
	}
	s.table.makeUp(now)
}

// run probes for a while, and returns how often each integration was probed.
func (s *site) run(from time.Time, seconds int) map[domain.Ref]int {
	counts := map[domain.Ref]int{}
	for n := range seconds {
		now, sum := from.Add(time.Duration(n)*time.Second), 0
		for part := range 20 { // wait is short while many slots are made up for
			now := now.Add(time.Duration(part) * 50 * time.Millisecond)
			due := s.table.due(now)
			sum += len(due)
			for _, of := range due {
				counts[of]++
				s.last[of] = now
			}
		}
		s.peak = max(s.peak, sum)
	}
	return counts
}

const even = crowd / int(pace/time.Second) // a second

func TestProbesAreSpreadEvenlyAndEachIntegrationKeepsItsInterval(t *testing.T) {
	s := &site{last: map[domain.Ref]time.Time{}}
	s.restart(epoch)
	s.table.missed = nil // as if all had been probed
	counts := s.run(epoch, 600)
	require.Len(t, counts, crowd)
	for of, count := range counts {
		require.Equal(t, 2, count, of)
	}
	require.Less(t, s.peak, 3*even)
}

func TestARestartMakesUpForMissedSlotsWithoutABurst(t *testing.T) {
	s := &site{last: map[domain.Ref]time.Time{}}
	s.restart(epoch)
	s.run(epoch, 900)
	s.peak = 0
	for n, down := range []time.Duration{time.Second, 20 * time.Second, 10 * time.Minute} {
		from := epoch.Add(time.Duration(n+1)*time.Hour + down)
		for of := range s.last { // all were probed at their slots before the end
			s.last[of] = slot(of, pace, from.Add(-down))
		}
		s.restart(from)
		missed := len(s.table.missed)
		require.InDelta(t, crowd*min(1, down.Seconds()/pace.Seconds()), missed, crowd/20, "those with a missed slot")
		counts := s.run(from, 900)
		require.Len(t, counts, crowd)
		require.Less(t, s.peak, 4*even, "while missed slots are made up for")
	}
}

func TestAServiceThatRestartsMoreOftenThanTheIntervalProbesAll(t *testing.T) {
	s := &site{last: map[domain.Ref]time.Time{}}
	for n := range crowd { // each was probed long ago
		s.last[member(n)] = epoch.Add(-time.Hour)
	}
	counts := map[domain.Ref]int{}
	for round := range 15 {
		from := epoch.Add(time.Duration(round) * time.Minute)
		s.restart(from)
		for of, count := range s.run(from, 50) { // and is down for 10 s
			counts[of] += count
		}
	}
	require.Len(t, counts, crowd)
	require.Less(t, s.peak, 4*even)
}

func TestATimetableFollowsTheIntervalsOfIntegrations(t *testing.T) {
	table, of := newTimetable(), member(1)
	due := func(from, to time.Duration) (count int) {
		for at := from; at < to; at += time.Second {
			count += len(table.due(epoch.Add(at)))
		}
		return count
	}
	table.set(of, time.Minute, epoch)
	require.Equal(t, 10, due(0, 10*time.Minute))
	table.set(of, time.Minute, epoch.Add(10*time.Minute)) // changes nothing
	require.Equal(t, 10, due(10*time.Minute, 20*time.Minute))
	table.set(of, 10*time.Second, epoch.Add(20*time.Minute))
	require.Equal(t, 60, due(20*time.Minute, 30*time.Minute))
	table.set(of, 0, epoch.Add(30*time.Minute))
	require.Zero(t, due(30*time.Minute, 40*time.Minute))
	require.Zero(t, table.rate)
	table.set(of, time.Minute, epoch.Add(40*time.Minute))
	table.makeUp(epoch.Add(40 * time.Minute))
	table.set(of, 0, epoch.Add(40*time.Minute))
	require.Zero(t, due(40*time.Minute, 50*time.Minute), "nor are its missed slots made up for")
}
