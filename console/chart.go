package console

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A chart is SVG whose x is in percent of its width, so that marks keep their shape at any width.
// All text in it is escaped here.
type chart struct {
	strings.Builder
	from, to time.Time
}

func (c *chart) add(format string, values ...any) { _, _ = fmt.Fprintf(c, format, values...) }

// x returns where a time is, in percent.
func (c *chart) x(at time.Time) float64 {
	share := float64(at.Sub(c.from)) / float64(max(c.to.Sub(c.from), 1))
	return math.Round(min(max(share, 0), 1)*1e5) / 1e3
}

func (c *chart) html() template.HTML { return template.HTML(c.String()) } //nolint:gosec // of numbers and what was escaped

// stateClass is how a state is drawn.
func stateClass(s state) string {
	switch text(s.Status) {
	case "healthy":
		return "f-ok"
	case "":
		return "none"
	case "disabled", "deleted":
		return "off"
	}
	return "f-bad"
}

// states draws the state bar: healthy is full, failing is hatched, unknown a dotted outline, disabled a line.
func (c *chart) states(all []state, y, h int) {
	for _, s := range all {
		x, w := c.x(s.From), c.x(s.To)-c.x(s.From)
		if w <= 0 {
			continue
		}
		title := html.EscapeString(markOf(text(s.Status)).Word + " from " + s.From.UTC().Format("2 Jan 15:04:05") + " UTC" + prefixed(": ", text(s.Message)))
		switch class := stateClass(s); class {
		case "none":
			c.add(`<rect class="s-unknown" x="%g%%" y="%d" width="%g%%" height="%d" fill="none" stroke-dasharray="2 3"><title>%s</title></rect>`, x, y, w, h, title)
		case "off":
			c.add(`<rect class="f-unknown" x="%g%%" y="%d" width="%g%%" height="3"><title>%s</title></rect>`, x, y+h/2-1, w, title)
		case "f-bad":
			c.add(`<g><rect class="f-bad" x="%g%%" y="%d" width="%g%%" height="%d"/><rect fill="url(#hatch)" x="%g%%" y="%d" width="%g%%" height="%d"/><title>%s</title></g>`, x, y, w, h, x, y, w, h, title)
		default:
			c.add(`<rect class="f-ok" x="%g%%" y="%d" width="%g%%" height="%d"><title>%s</title></rect>`, x, y, w, h, title)
		}
	}
}

// columns draws counts from a base line up: the failed below, with a pattern, and those that worked on top.
func (c *chart) columns(all []bucket, step time.Duration, y, h int) {
	most := 1
	for _, b := range all {
		most = max(most, b.OK+b.Failed)
	}
	for _, b := range all {
		x := c.x(b.Start)
		w := max(c.x(b.Start.Add(step))-x-.08, .12)
		bad, ok := float64(h*b.Failed)/float64(most), float64(h*b.OK)/float64(most)
		if b.Failed > 0 {
			bad = max(bad, 3)
		}
		if b.OK > 0 {
			ok = max(ok, 2)
		}
		title := fmt.Sprintf("%s UTC: %d ok, %d failed, p95 %s", b.Start.UTC().Format("2 Jan 15:04:05"), b.OK, b.Failed, milliseconds(b.P95MS))
		c.add(`<g><title>%s</title>`, title)
		if b.OK > 0 {
			c.add(`<rect class="f-ok" x="%g%%" y="%.1f" width="%g%%" height="%.1f"/>`, x, float64(y+h)-bad-ok, w, ok)
		}
		if b.Failed > 0 {
			c.add(`<rect class="f-bad" x="%g%%" y="%.1f" width="%g%%" height="%.1f"/><rect fill="url(#hatch)" x="%g%%" y="%.1f" width="%g%%" height="%.1f"/>`,
				x, float64(y+h)-bad, w, bad, x, float64(y+h)-bad, w, bad)
		}
		c.add(`</g>`)
	}
	c.add(`<line class="axis" x1="0" x2="100%%" y1="%d" y2="%d"/>`, y+h, y+h)
}

// probes draws a tick up for each bucket that worked, as high as the answer took long (log), and a cross
// below the line for each with a failure.
func (c *chart) probes(all []bucket, step time.Duration, y, h int) {
	base := y + h - 12
	for _, b := range all {
		x := c.x(b.Start.Add(step / 2))
		title := fmt.Sprintf("%s UTC: %d healthy, %d failed, p95 %s", b.Start.UTC().Format("2 Jan 15:04:05"), b.OK, b.Failed, milliseconds(b.P95MS))
		c.add(`<g><title>%s</title>`, title)
		if b.OK > 0 {
			high := min(max(math.Log10(b.P95MS+1)*float64(h-12)/4, 3), float64(h-12))
			c.add(`<line class="s-ok" x1="%g%%" x2="%g%%" y1="%d" y2="%.1f"/>`, x, x, base, float64(base)-high)
		}
		if b.Failed > 0 {
			c.add(`<svg x="%g%%" y="%d" overflow="visible"><path class="s-bad" d="M-3 0l6 6m0-6l-6 6"/></svg>`, x, base+3)
		}
		c.add(`</g>`)
	}
	c.add(`<line class="axis" x1="0" x2="100%%" y1="%d" y2="%d"/>`, base, base)
}

const closest = 1.2 // percent: marks that are nearer to each other become one

// changes draws a diamond for each change, and a line through all lanes below.
func (c *chart) changes(all []feedEvent, link func(feedEvent) string, picked string, y, bottom int) {
	for n := 0; n < len(all); {
		x, first := c.x(all[n].Time), n
		for n++; n < len(all) && c.x(all[n].Time)-x < closest; n++ {
		}
		e := all[n-1] // the last of a block, which the link opens
		name := e.Time.UTC().Format("15:04:05") + " UTC, " + text(e.Name) + " " + verb(e.Type) + " by " + e.Actor + prefixed(": ", fields(e.Changed))
		letter := map[string]string{"integration.created": "+", "integration.deleted": "−"}[e.Type]
		if n-first > 1 {
			letter, name = strconv.Itoa(n-first), strconv.Itoa(n-first)+" changes, the last "+name
		}
		class := "change"
		if strconv.FormatUint(e.Position, 10) == picked {
			class = "change picked"
		}
		c.add(`<a class="%s" href="%s"><title>%s</title><line class="s-change hair" x1="%g%%" x2="%g%%" y1="%d" y2="%d"/><svg x="%g%%" y="%d" overflow="visible"><rect x="-12" y="-12" width="24" height="24" fill="transparent"/><path class="f-change" d="M0 -9L9 0L0 9L-9 0z"/><text class="in" y="4" text-anchor="middle">%s</text></svg></a>`,
			class, html.EscapeString(link(e)), html.EscapeString(name), x, x, y, bottom, x, y, html.EscapeString(letter))
	}
}

// fields are the names of what changed.
func fields(pointers []string) string {
	var all []string
	for n, p := range pointers {
		if n == 4 {
			all = append(all, "…")
			break
		}
		all = append(all, words(p))
	}
	return strings.Join(all, ", ")
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

const hatch = `<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><line class="hatching" x1="0" x2="0" y1="0" y2="6"/></pattern></defs>`

// Strip draws states and calls in one small bar.
func (t *timeline) Strip() template.HTML {
	c := &chart{from: t.From, to: t.To}
	c.WriteString(hatch)
	c.states(t.States, 16, 12)
	c.columns(t.Calls, t.step(), 0, 14)
	return c.html()
}

func (t *timeline) step() time.Duration { return time.Duration(t.BucketMS * float64(time.Millisecond)) }

// A lane is a row of the picture.
type lane struct {
	Name   string
	Height int // with the space to the next
	draw   func(c *chart, y int)
}

// Lanes are the rows of the picture from top to bottom. Those that have nothing in the span are left
// out, and Empty names them.
func (d timelinePage) Lanes(p *page) (all []lane) {
	t := d.T
	all = append(all, lane{"Changes", 32, func(c *chart, y int) {
		c.changes(d.Changes, func(e feedEvent) string { return p.With("at", strconv.FormatUint(e.Position, 10)) + "#picked" }, p.Query("at"), y+16, d.Height(p))
	}})
	if len(d.Permits) > 0 {
		all = append(all, lane{"Sign-ins", 28, func(c *chart, y int) { c.permits(d.Permits, y+12) }})
	}
	if d.Tab != "" {
		all = append(all, lane{"Health", 32, func(c *chart, y int) { c.states(t.States, y+6, 16) }}, lane{"Probes", 52, func(c *chart, y int) { c.probes(t.Probes, t.step(), y+4, 44) }})
	}
	all = append(all, lane{"Calls", 68, func(c *chart, y int) { c.columns(t.Calls, t.step(), y+4, 60) }})
	if len(d.Hooks) > 0 {
		all = append(all, lane{"Webhooks", 28, func(c *chart, y int) { c.hooks(d.Hooks, y+12) }})
	}
	return all
}

// Empty names the lanes that are left out, as a sentence.
func (d timelinePage) Empty(p *page) string {
	switch hooks := p.Me.May("Webhook.manage") && len(d.Hooks) == 0; {
	case len(d.Permits) == 0 && hooks:
		return "no person signed in or out, no webhook failed"
	case len(d.Permits) == 0:
		return "no person signed in or out"
	case hooks:
		return "no webhook failed"
	}
	return ""
}

// Height is that of the picture.
func (d timelinePage) Height(p *page) (h int) {
	for _, l := range d.Lanes(p) {
		h += l.Height
	}
	return h
}

// Draw draws the picture of a timeline: its lanes on one axis. Changes come last, so that nothing
// hides them.
func (d timelinePage) Draw(p *page) template.HTML {
	t, height := d.T, d.Height(p)
	c := &chart{from: t.From, to: t.To}
	c.WriteString(hatch)
	for n := range 5 {
		c.add(`<line class="axis" x1="%d%%" x2="%d%%" y1="0" y2="%d"/>`, n*25, n*25, height)
	}
	if o := t.Onset; o != nil && !o.Time.Before(t.From) && o.Time.Before(t.To) {
		x := c.x(o.Time)
		c.add(`<line class="s-bad onset" x1="%g%%" x2="%g%%" y1="0" y2="%d"/>`, x, x, height)
	}
	y := height
	for _, l := range slices.Backward(d.Lanes(p)) {
		y -= l.Height
		l.draw(c, y)
	}
	c.add(`<rect class="band" x="0" y="0" width="0" height="%d"/>`, height)
	return c.html()
}

// permits draws a full circle for each authorization that a person gave, a cross for each that was
// lost or revoked, and a ring for other steps of a sign-in.
func (c *chart) permits(all []feedEvent, y int) {
	for _, e := range all {
		name := e.Time.UTC().Format("15:04:05") + " UTC, " + text(e.Name) + ": " + permitted(e)
		mark := `<circle class="s-auth" r="4" fill="none"/>` // somebody began to sign in, or the like
		switch {
		case strings.HasSuffix(e.Type, "_lost"), strings.HasSuffix(e.Type, "_revoked"):
			mark = `<path class="s-bad" d="M-4 -4l8 8m0-8l-8 8"/>`
		case strings.HasSuffix(e.Type, ".authorized"), strings.HasSuffix(e.Type, "_restored"):
			mark = `<circle class="f-auth" r="5"/>`
		}
		c.add(`<svg x="%g%%" y="%d" overflow="visible"><title>%s</title>%s</svg>`, c.x(e.Time), y, html.EscapeString(name), mark)
	}
}

// hooks draws a cross for each attempt to deliver a webhook that failed.
func (c *chart) hooks(all []delivery, y int) {
	for _, d := range all {
		name := d.At.UTC().Format("15:04:05") + " UTC, " + d.Type + " to " + d.To
		c.add(`<svg x="%g%%" y="%d" overflow="visible"><title>%s</title><path class="s-bad" d="M-4 -4l8 8m0-8l-8 8"/></svg>`, c.x(d.At), y, html.EscapeString(name))
	}
}

// Ticks are the times below the picture.
func (t *timeline) Ticks() (all []time.Time) {
	for n := range 5 {
		all = append(all, t.From.Add(t.To.Sub(t.From)*time.Duration(n)/4))
	}
	return all
}
