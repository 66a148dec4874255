package bench

import (
	"context"
	"fmt"
	"strings"
)

// row is one figure and what stands beside it.
type row struct {
	name    string // the part before a slash is its group
	what    string // the figure
	limit   string // what stands beside it
	unit    string
	goal    goal
	measure func(context.Context, *lab) (pair, error)
}

const (
	aSecond      = "/s"
	microseconds = "µs"
	milliseconds = "ms"
	megabytes    = "MB"
	seconds      = "s"

	publishing = "jetstream.PublishMsg with the same expectation, payload, sync and connections"
	querying   = "the same query straight on the store"
	serverOnly = "nats-server alone on the same folder"
)

// is reports whether r is called name or belongs to the group of that name.
func (r row) is(name string) bool {
	return r.name == name || strings.HasPrefix(r.name, name+"/")
}

// run measures the limit and the figure in turns.
func (r row) run(ctx context.Context, l *lab) (Result, error) {
	p, err := r.measure(ctx, l)
	if p.end != nil {
		defer p.end()
	}
	if err != nil {
		return Result{}, err
	}
	var figures, limits []sample
	for range l.Repetitions {
		limit, err := p.limit(ctx)
		if err != nil {
			return Result{}, fmt.Errorf("measure %s: %w", r.limit, err)
		}
		figure, err := p.figure(ctx)
		if err != nil {
			return Result{}, fmt.Errorf("measure %s: %w", r.what, err)
		}
		limits, figures = append(limits, limit), append(figures, figure)
	}
	return r.result(figures, limits), nil
}
