package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// settled is how long after it is ready the memory of a process is read.
const settled = 2 * time.Second

// memory measures what a service holds at rest beside a NATS server alone on
// the same folder, in MB.
func memory(filled bool) func(context.Context, *lab) (pair, error) {
	return processes(filled, func(ctx context.Context, c *child) (float64, error) {
		select {
		case <-time.After(settled):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		return c.resident()
	})
}

// starts measures how long a service takes until it is ready, beside a NATS
// server alone on the same folder, in seconds.
func starts(filled bool) func(context.Context, *lab) (pair, error) {
	return processes(filled, func(_ context.Context, c *child) (float64, error) { return c.took.Seconds(), nil })
}

// processes starts a service and a NATS server in turns on one folder, whose
// read model is current, and looks at each.
func processes(filled bool, look func(context.Context, *child) (float64, error)) func(context.Context, *lab) (pair, error) {
	return func(ctx context.Context, l *lab) (pair, error) {
		data, err := l.stopped(ctx, filled)
		if err != nil {
			return pair{}, err
		}
		once := func(begin func(context.Context) (*child, error)) measuring {
			return func(ctx context.Context) (sample, error) {
				c, err := begin(ctx)
				if err != nil {
					return sample{}, err
				}
				defer c.stop()
				value, err := look(ctx, c)
				return sample{value: value}, err
			}
		}
		return pair{
			figure: once(func(ctx context.Context) (*child, error) {
				s, err := l.serve(ctx, data)
				if err != nil {
					return nil, err
				}
				return s.child, nil
			}),
			limit: once(func(ctx context.Context) (*child, error) { return l.stand(ctx, filepath.Join(data, "nats")) }),
		}, nil
	}
}

// stopped returns a folder that a service has been ready on and ended well.
func (l *lab) stopped(ctx context.Context, filled bool) (string, error) {
	if filled {
		s, err := l.theFilled(ctx)
		if err != nil {
			return "", err
		}
		l.stopFilled()
		return s.data, nil
	}
	data := filepath.Join(l.dir, "empty")
	if _, err := os.Stat(data); err == nil {
		return data, nil
	}
	s, err := l.serve(ctx, data)
	if err != nil {
		return "", fmt.Errorf("make an empty log: %w", err)
	}
	s.stop()
	return data, nil
}
