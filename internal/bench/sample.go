package bench

import (
	"context"
	"slices"
	"sync"
	"time"
)

// sample is what one repetition came to.
type sample struct {
	value    float64       // in the unit of the row
	p50, p99 time.Duration // of single operations, where there are such
}

// measuring is one repetition.
type measuring func(ctx context.Context) (sample, error)

// pair is a figure and what stands beside it. Its end is called once both have
// been measured.
type pair struct {
	figure, limit measuring
	end           func()
}

// latencies gathers how long operations took.
type latencies struct {
	mu  sync.Mutex
	all []time.Duration
}

func (l *latencies) add(more ...time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, more...)
}

// sample returns the percentiles of what was gathered.
func (l *latencies) sample() sample {
	if len(l.all) == 0 {
		return sample{}
	}
	slices.Sort(l.all)
	return sample{p50: l.all[len(l.all)/2], p99: l.all[len(l.all)*99/100]}
}

// byP50 makes the median of single operations the value, in microseconds.
func byP50(m measuring) measuring {
	return func(ctx context.Context) (sample, error) {
		s, err := m(ctx)
		s.value = float64(s.p50) / float64(time.Microsecond)
		return s, err
	}
}

// byP99 makes what 99 of 100 single operations stay below the value, in
// milliseconds.
func byP99(m measuring) measuring {
	return func(ctx context.Context) (sample, error) {
		s, err := m(ctx)
		s.value = float64(s.p99) / float64(time.Millisecond)
		return s, err
	}
}

// perSecond is how many events were gone through a second.
func perSecond(count int, since time.Time) sample {
	return sample{value: float64(count) / time.Since(since).Seconds()}
}
