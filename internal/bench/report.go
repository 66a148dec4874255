package bench

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what a run came to.
type Report struct {
	System      string   `json:"system"` // such as linux/amd64
	CPUs        int      `json:"cpus"`
	Go          string   `json:"go"`
	Size        int      `json:"size"`
	Seconds     float64  `json:"seconds"` // of one repetition
	Repetitions int      `json:"repetitions"`
	Rows        []Result `json:"rows"`
}

// Result is one row as it was measured.
type Result struct {
	Row      string   `json:"row"`
	What     string   `json:"what"`
	Beside   string   `json:"beside"` // what the limit is
	Unit     string   `json:"unit"`
	Figure   Measured `json:"figure"`
	Limit    Measured `json:"limit"`
	Ratio    float64  `json:"ratio"` // of the figure to the limit
	Goal     string   `json:"goal,omitempty"`
	Attained float64  `json:"attained,omitempty"` // 1 is just the goal, 2 is twice as good
	Met      *bool    `json:"met,omitempty"`      // nil without a goal
}

// Measured is the median of the repetitions and how far they are apart.
type Measured struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
	P50    float64 `json:"p50_us,omitempty"` // of single operations, the median of the repetitions
	P99    float64 `json:"p99_us,omitempty"`
}

func newReport(c Config) Report {
	return Report{
		System: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version(), Size: c.Size,
		Seconds: c.For.Seconds(), Repetitions: c.Repetitions, Rows: []Result{},
	}
}

func measured(samples []sample) Measured {
	middle := func(of func(sample) float64) float64 {
		sorted := slices.SortedFunc(slices.Values(samples), func(a, b sample) int { return cmp.Compare(of(a), of(b)) })
		return of(sorted[len(sorted)/2])
	}
	value := func(s sample) float64 { return s.value }
	byValue := func(a, b sample) int { return cmp.Compare(a.value, b.value) }
	return Measured{
		Median: middle(value), Least: slices.MinFunc(samples, byValue).value, Most: slices.MaxFunc(samples, byValue).value,
		P50: middle(func(s sample) float64 { return micros(s.p50) }), P99: middle(func(s sample) float64 { return micros(s.p99) }),
	}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func (r row) result(figures, limits []sample) Result {
	result := Result{Row: r.name, What: r.what, Beside: r.limit, Unit: r.unit, Figure: measured(figures), Limit: measured(limits), Goal: r.goal.text(r.unit)}
	figure, limit := result.Figure.Median, result.Limit.Median
	result.Ratio = figure / limit
	if r.goal.of != noGoal {
		result.Attained = r.goal.attained(figure, limit)
		result.Met = new(result.Attained >= 1)
	}
	return result
}

// verdict returns whether the goal is met, or "" without a goal.
func (r Result) verdict() string {
	switch {
	case r.Met == nil:
		return ""
	case *r.Met:
		return ", met: " + r.Goal
	default:
		return ", MISSED: " + r.Goal
	}
}

// shown is a number with as many digits as mean something.
func shown(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// spread is a median and the least and the most beside it.
func (m Measured) spread(unit string) string {
	return fmt.Sprintf("%s (%s to %s) %s", shown(m.Median), shown(m.Least), shown(m.Most), unit)
}

// percentiles returns the latencies of single operations, where they were measured.
func (m Measured) percentiles() string {
	if m.P99 == 0 {
		return "-"
	}
	return fmt.Sprintf("%s / %s", shown(m.P50), shown(m.P99))
}

// WriteTable writes the report for people.
func (r Report) WriteTable(w io.Writer) error {
	_, _ = fmt.Fprintf(w, "%s, %d CPUs, %s; %d integrations; medians of %d repetitions of %g s\n\n", r.System, r.CPUs, r.Go, r.Size, r.Repetitions, r.Seconds)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, strings.Join([]string{"ROW", "FIGURE", "P50 / P99 µs", "LIMIT", "P50 / P99 µs", "RATIO", "GOAL", ""}, "\t"))
	missed := 0
	for _, one := range r.Rows {
		verdict := ""
		if one.Met != nil {
			verdict = "met"
			if !*one.Met {
				missed++
				verdict = "MISSED"
			}
		}
		_, _ = fmt.Fprintln(t, strings.Join([]string{
			one.Row, one.Figure.spread(one.Unit), one.Figure.percentiles(), one.Limit.spread(one.Unit), one.Limit.percentiles(),
			fmt.Sprintf("%.2f", one.Ratio), one.Goal, verdict,
		}, "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d goals missed\n", missed)
	return err
}
