// Package bench measures the service beside the limit of what it is built on.
//
// Its one promise: a figure and its limit are measured in turns, in the same run
// and on the same machine, so that whatever slows one slows the other.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Config configures a run.
type Config struct {
	Program     string        // this program, which is started as the service and as what stands beside it
	Rows        []string      // names of rows, or of groups such as creates; none: all of them
	Size        int           // integrations of the service that reads are measured on
	For         time.Duration // of one repetition
	Repetitions int           // of each row, at least 3
	Progress    io.Writer
}

// Validate reports everything that is wrong with c.
func (c Config) Validate() error {
	var wrong []error
	for _, name := range c.Rows {
		if !slices.ContainsFunc(table, func(r row) bool { return r.is(name) }) {
			wrong = append(wrong, fmt.Errorf("there is no row %q: there are %s", name, strings.Join(Names(), ", ")))
		}
	}
	if c.Size < 1 {
		wrong = append(wrong, errors.New("the size must be at least 1"))
	}
	if c.For <= 0 || c.For > time.Hour {
		wrong = append(wrong, errors.New("a repetition must take more than nothing and at most an hour"))
	}
	if c.Repetitions < 3 {
		wrong = append(wrong, errors.New("there must be at least 3 repetitions"))
	}
	return errors.Join(wrong...)
}

// Names returns the rows there are.
func Names() []string {
	names := make([]string, len(table))
	for n, r := range table {
		names[n] = r.name
	}
	return names
}

// is reports whether r is called name or belongs to the group of that name.
func (r row) is(name string) bool {
	return r.name == name || strings.HasPrefix(r.name, name+"/")
}

// Run measures the rows of c. When a row fails, it returns those before it and
// the error.
func Run(ctx context.Context, c Config) (report Report, err error) {
	if err := c.Validate(); err != nil {
		return Report{}, err
	}
	report = newReport(c)
	l, err := newLab(ctx, c)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	for _, r := range table {
		if len(c.Rows) > 0 && !slices.ContainsFunc(c.Rows, r.is) {
			continue
		}
		l.logf("%s: %s, beside %s", r.name, r.what, r.limit)
		result, err := r.run(ctx, l)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return report, fmt.Errorf("%s: %w", r.name, err)
		}
		l.logf("%s: %s, beside %s: ratio %.2f%s", r.name, shown(result.Figure.Median), shown(result.Limit.Median), result.Ratio, result.verdict())
		report.Rows = append(report.Rows, result)
	}
	return report, nil
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
