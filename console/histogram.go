package console

import (
	"fmt"
	"html/template"
	"net/url"
	"slices"
	"strings"
)

// latencies are how long the last calls of a filter took.
type latencies struct {
	Calls    int
	Failed   int
	P50, P95 float64 // in milliseconds
	bars     [latencyBars]struct{ ok, failed int }
}

const latencyBars = 8

// latencyEnds returns the ends of the bars but the last, in milliseconds.
func latencyEnds() [latencyBars - 1]float64 {
	return [...]float64{10, 30, 100, 300, 1000, 3000, 10_000}
}

// Names returns the names of the bars.
func (*latencies) Names() []string {
	return []string{"< 10 ms", "30 ms", "100 ms", "300 ms", "1 s", "3 s", "10 s", "longer"}
}

// maxLatencies is how many calls are counted.
const maxLatencies = 200

// latenciesOf reads how long the last calls took that a query selects.
func (p *page) latenciesOf(path string, q url.Values) (*latencies, error) {
	all := url.Values{"limit": {fmt.Sprint(maxLatencies)}}
	for name, values := range q {
		if name != "limit" && name != "continuation_token" {
			all[name] = values
		}
	}
	var got struct {
		Items []called `json:"items"`
	}
	if err := p.get(path, all, &got); err != nil {
		return nil, err
	}
	l := &latencies{}
	var took []float64
	for _, c := range got.Items {
		if c.Outcome == nil {
			continue // it can't be read
		}
		took = append(took, c.DurationMS)
		ends := latencyEnds()
		bar := len(ends)
		if n := slices.IndexFunc(ends[:], func(end float64) bool { return c.DurationMS < end }); n >= 0 {
			bar = n
		}
		l.Calls++
		if *c.Outcome == "ok" {
			l.bars[bar].ok++
		} else {
			l.bars[bar].failed++
			l.Failed++
		}
	}
	if l.Calls == 0 {
		return nil, nil
	}
	slices.Sort(took)
	l.P50, l.P95 = took[(len(took)-1)/2], took[(len(took)-1)*95/100]
	return l, nil
}

// Draw draws the bars: the calls that failed at the bottom, with a pattern.
func (l *latencies) Draw() template.HTML {
	const high = 60
	most := 1
	for _, b := range l.bars {
		most = max(most, b.ok+b.failed)
	}
	var c strings.Builder
	c.WriteString(hatch)
	width, names := 100/float64(len(l.bars)), l.Names()
	for n, b := range l.bars {
		if b.ok+b.failed == 0 {
			continue
		}
		x, w := width*float64(n)+.4, width-.8
		bad, ok := float64(high*b.failed)/float64(most), float64(high*b.ok)/float64(most)
		if b.failed > 0 {
			bad = max(bad, 3)
		}
		if b.ok > 0 {
			ok = max(ok, 2)
		}
		_, _ = fmt.Fprintf(&c, `<g><title>%s: %d ok, %d failed</title><rect class="f-ok" x="%.2f%%" y="%.1f" width="%.2f%%" height="%.1f"/><rect class="f-bad" x="%.2f%%" y="%.1f" width="%.2f%%" height="%.1f"/><rect fill="url(#hatch)" x="%.2f%%" y="%.1f" width="%.2f%%" height="%.1f"/></g>`,
			template.HTMLEscapeString(names[n]), b.ok, b.failed, x, high-bad-ok, w, ok, x, high-bad, w, bad, x, high-bad, w, bad)
	}
	_, _ = fmt.Fprintf(&c, `<line class="axis" x1="0" x2="100%%" y1="%d" y2="%d"/>`, high, high)
	return template.HTML(c.String()) //nolint:gosec // of numbers and our own words
}
