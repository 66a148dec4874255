package bench

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// operation does one thing. The worker, from 0, is who does it, and n counts
// what it has done in this repetition.
type operation func(ctx context.Context, worker, n int) error

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
