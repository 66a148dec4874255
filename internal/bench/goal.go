package bench

import "fmt"

// goal is what a figure should reach, in relation to its limit or absolute.
type goal struct {
	of    aim
	value float64
}

type aim int

const (
	noGoal       aim = iota
	ratioAtLeast     // of the figure to the limit
	ratioAtMost
	moreAtMost   // of the figure than the limit
	figureAtMost // whatever the limit is
	figureAtLeast
)

// attained returns how a figure stands to g: 1 is just there, 2 is twice as
// good, 0 without a goal. What is better than ten times the goal is 10.
func (g goal) attained(figure, limit float64) float64 {
	const best = 10
	var share float64
	switch g.of {
	case ratioAtLeast:
		share = figure / limit / g.value
	case ratioAtMost:
		share = g.value * limit / figure
	case moreAtMost:
		share = best
		if more := figure - limit; more > 0 {
			share = g.value / more
		}
	case figureAtMost:
		share = g.value / figure
	case figureAtLeast:
		share = figure / g.value
	default:
		return 0
	}
	return min(share, best)
}

// text returns g in the unit of its row.
func (g goal) text(unit string) string {
	switch g.of {
	case ratioAtLeast:
		return fmt.Sprintf("≥ %g × limit", g.value)
	case ratioAtMost:
		return fmt.Sprintf("≤ %g × limit", g.value)
	case moreAtMost:
		return fmt.Sprintf("≤ limit + %g %s", g.value, unit)
	case figureAtMost:
		return fmt.Sprintf("≤ %g %s", g.value, unit)
	case figureAtLeast:
		return fmt.Sprintf("≥ %g %s", g.value, unit)
	default:
		return ""
	}
}
