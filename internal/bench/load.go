package bench

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
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

// operation does one thing. The worker, from 0, is who does it, and n counts
// what it has done in this repetition.
type operation func(ctx context.Context, worker, n int) error

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

// busy has workers do one operation after another for some time; the value is
// how many they did a second.
func (l *lab) busy(workers int, do operation) measuring {
	return func(ctx context.Context) (sample, error) {
		var took latencies
		since := time.Now()
		parts, running := errgroup.WithContext(ctx)
		for worker := range workers {
			parts.Go(func() error {
				var mine []time.Duration
				defer func() { took.add(mine...) }()
				for n, now := 0, time.Now(); n == 0 || now.Sub(since) < l.For; n++ {
					if err := do(running, worker, n); err != nil {
						return err
					}
					then := time.Now()
					mine, now = append(mine, then.Sub(now)), then
				}
				return nil
			})
		}
		err := parts.Wait()
		s := took.sample()
		s.value = float64(len(took.all)) / time.Since(since).Seconds()
		return s, err
	}
}

// paced has workers begin an operation at fixed times, whether or not those
// before have ended. A late one counts from when it should have started.
func (l *lab) paced(perSecond, workers int, do operation) measuring {
	return func(ctx context.Context) (sample, error) {
		var took latencies
		every := time.Duration(workers) * time.Second / time.Duration(perSecond)
		since := time.Now()
		parts, running := errgroup.WithContext(ctx)
		for worker := range workers {
			parts.Go(func() error {
				begin := since.Add(every * time.Duration(worker) / time.Duration(workers))
				for n := 0; n == 0 || begin.Sub(since) < l.For; n++ {
					select {
					case <-time.After(time.Until(begin)):
					case <-running.Done():
						return running.Err()
					}
					if err := do(running, worker, n); err != nil {
						return err
					}
					took.add(time.Since(begin))
					begin = begin.Add(every)
				}
				return nil
			})
		}
		err := parts.Wait()
		return took.sample(), err
	}
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
