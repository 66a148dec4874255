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

// folder returns a data folder that a service has been ready on and ended well.
type folder func(*lab, context.Context) (string, error)

// memory measures what a service holds at rest beside a NATS server alone on
// the same folder, in MB.
func memory(on folder) func(context.Context, *lab) (pair, error) {
	return processes(on, func(ctx context.Context, c *child) (float64, error) {
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
func starts(on folder) func(context.Context, *lab) (pair, error) {
	return processes(on, func(_ context.Context, c *child) (float64, error) { return c.took.Seconds(), nil })
}

// processes starts a service and a NATS server in turns on one folder, whose
// read model is current, and looks at each.
func processes(on folder, look func(context.Context, *child) (float64, error)) func(context.Context, *lab) (pair, error) {
	return func(ctx context.Context, l *lab) (pair, error) {
		data, err := on(l, ctx)
		if err != nil {
			return pair{}, err
		}
		return pair{
			figure: once(func(ctx context.Context) (*child, error) { return l.serveChild(ctx, data) }, look),
			limit:  once(func(ctx context.Context) (*child, error) { return l.stand(ctx, filepath.Join(data, "nats")) }, look),
		}, nil
	}
}

// once starts a process, looks at it, and ends it.
func once(begin func(context.Context) (*child, error), look func(context.Context, *child) (float64, error)) measuring {
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

func (l *lab) serveChild(ctx context.Context, data string) (*child, error) {
	s, err := l.serve(ctx, data)
	if err != nil {
		return nil, err
	}
	return s.child, nil
}

// listened measures what a service holds whose events some listeners wait for, beside a NATS
// server with as many subscribers, in MB.
func listened(listeners int) func(context.Context, *lab) (pair, error) {
	return func(ctx context.Context, l *lab) (pair, error) {
		data, err := l.emptyFolder(ctx)
		if err != nil {
			return pair{}, err
		}
		const in = "/v1/live/integrations"
		received := make(chan time.Time, listeners)
		with := func(ctx context.Context, c *child, listen func(context.Context) error) (sample, error) {
			defer c.stop()
			listening, stop := context.WithCancel(ctx)
			defer stop()
			for range listeners {
				if err := listen(listening); err != nil {
					return sample{}, err
				}
			}
			value, err := c.resident()
			return sample{value: value}, err
		}
		return pair{
			figure: func(ctx context.Context) (sample, error) {
				s, err := l.serve(ctx, data)
				if err != nil {
					return sample{}, err
				}
				return with(ctx, s.child, func(ctx context.Context) error { return l.listen(ctx, s, in+"/events/stream", received) })
			},
			limit: func(ctx context.Context) (sample, error) {
				c, err := l.stand(ctx, filepath.Join(data, "nats"))
				if err != nil {
					return sample{}, err
				}
				return with(ctx, c, func(ctx context.Context) error { return subscribe(ctx, c.url, received) })
			},
		}, nil
	}
}

// filledFolder has all integrations in workspaces of a thousand.
func (l *lab) filledFolder(ctx context.Context) (string, error) {
	s, err := l.theFilled(ctx)
	if err != nil {
		return "", err
	}
	l.stopFilled()
	return s.data, nil
}

// wholeFolder has all integrations in one workspace.
func (l *lab) wholeFolder(ctx context.Context) (string, error) {
	return l.stoppedFolder(func() (*service, error) {
		return l.serveFilled(ctx, "whole", filling{integrations: l.Size, each: l.Size})
	})
}

// eventsFolder has as many events of one workspace of at most a thousand integrations.
func (l *lab) eventsFolder(ctx context.Context) (string, error) {
	few := min(l.Size, inEach)
	return l.stoppedFolder(func() (*service, error) {
		return l.serveFilled(ctx, "events", filling{integrations: few, each: few, versions: l.Size / few})
	})
}

// emptyFolder has no integrations.
func (l *lab) emptyFolder(ctx context.Context) (string, error) {
	data := filepath.Join(l.dir, "empty")
	if _, err := os.Stat(data); err == nil {
		return data, nil
	}
	return l.stoppedFolder(func() (*service, error) { return l.serve(ctx, data) })
}

func (l *lab) stoppedFolder(serve func() (*service, error)) (string, error) {
	s, err := serve()
	if err != nil {
		return "", fmt.Errorf("fill a folder: %w", err)
	}
	s.stop()
	return s.data, nil
}
