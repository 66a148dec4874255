package main

import (
	"fmt"
	"html"
	"maps"
	"slices"
	"strings"
	"time"
)

// drawTrace draws the spans below a parent as SVG: a row for each, as long as it lasted, in the
// colour of its process.
func drawTrace(spans []*collectedSpan, parent string) string {
	const left, width, row = 470, 500, 22
	colours, roles := []string{"#2a6f97", "#c2571a", "#2a8f5b"}, map[string]int{}
	for _, s := range spans {
		roles[s.Resource["integrations.roles"]] = 0
	}
	for n, role := range slices.Sorted(maps.Keys(roles)) {
		roles[role] = n
	}
	var rows strings.Builder
	y := 50
	var draw func(parent string, depth int, from time.Time, pixels float64)
	draw = func(parent string, depth int, from time.Time, pixels float64) {
		for _, s := range spans {
			if s.Parent != parent {
				continue
			}
			if depth == 0 { // each request has the whole width
				last := slices.MaxFunc(append(under(spans, s), s), func(a, b *collectedSpan) int { return a.End.Compare(b.End) })
				from, pixels = s.Start, width/last.End.Sub(s.Start).Seconds()
				y += row / 2
			}
			_, _ = fmt.Fprintf(&rows, `<text x="%d" y="%d">%s</text><rect x="%.1f" y="%d" width="%.1f" height="14" fill="%s"/><text x="%d" y="%d">%.1f ms</text>`+"\n",
				12+16*depth, y, html.EscapeString(s.Name), left+s.Start.Sub(from).Seconds()*pixels, y-12, max(1, s.End.Sub(s.Start).Seconds()*pixels),
				colours[roles[s.Resource["integrations.roles"]]%len(colours)], left+width+10, y, s.End.Sub(s.Start).Seconds()*1e3)
			y += row
			draw(s.ID, depth+1, from, pixels)
		}
	}
	draw(parent, 0, time.Time{}, 0)
	var legend strings.Builder
	for n, role := range slices.Sorted(maps.Keys(roles)) {
		_, _ = fmt.Fprintf(&legend, `<tspan fill="%s">■</tspan> process with the roles %s  `, colours[n%len(colours)], html.EscapeString(strings.NewReplacer("Str(", "", ")", "", "Slice([", "", "\"", "", "]", "").Replace(role)))
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="1060" height="%d" font-family="sans-serif" font-size="13">`+"\n"+
		`<rect width="1060" height="%[1]d" fill="#ffffff"/><text x="12" y="24">%s</text>`+"\n%s</svg>\n", y, legend.String(), rows.String())
}

// under returns the spans below one.
func under(spans []*collectedSpan, top *collectedSpan) (all []*collectedSpan) {
	for _, s := range spans {
		if s.Parent == top.ID {
			all = append(append(all, s), under(spans, s)...)
		}
	}
	return all
}
