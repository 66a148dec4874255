// Package bench measures the service beside the limit of what it is built on.
//
// Its one promise: a figure and its limit are measured in turns, in the same run
// and on the same machine, so that whatever slows one slows the other.
package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

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
