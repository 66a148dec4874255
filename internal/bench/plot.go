package bench

import (
	"fmt"
	"io"
	"text/template"
)

// bar is a row of the plot.
type bar struct {
	Y           int
	Name, Label string
	Width       float64
	Color       string
}

const (
	barHeight = 26
	barsAt    = 130 // where they begin
	labelsAt  = 628 // beyond the longest
	oneIsWide = 220 // a goal that is just met
	mostShown = 2.2 // times the goal; a longer bar ends there
)

var plot = template.Must(template.New("plot").Parse(`<svg xmlns="http://www.w3.org/2000/svg" width="960" height="{{.Height}}" font-family="sans-serif" font-size="13">
<rect width="960" height="{{.Height}}" fill="#ffffff"/>
<text x="12" y="24" font-size="15">How each figure stands to its goal: beyond the line it is met</text>
{{range .Bars}}<text x="12" y="{{.Y}}">{{.Name | html}}</text>
<rect x="{{$.From}}" y="{{.Y}}" width="{{printf "%.1f" .Width}}" height="16" transform="translate(0,-13)" fill="{{.Color}}"/>
<text x="{{$.Beside}}" y="{{.Y}}">{{.Label | html}}</text>
{{end}}<line x1="{{.Goal}}" y1="34" x2="{{.Goal}}" y2="{{.Height}}" stroke="#202020" stroke-dasharray="4 3"/>
</svg>
`))

// WritePlot writes the rows that have a goal as a picture, in SVG.
func (r Report) WritePlot(w io.Writer) error {
	var bars []bar
	for _, one := range r.Rows {
		if one.Met == nil {
			continue
		}
		color := "#2a8f5b"
		if !*one.Met {
			color = "#c2571a"
		}
		bars = append(bars, bar{
			Y: 56 + len(bars)*barHeight, Name: one.Row, Width: min(one.Attained, mostShown) * oneIsWide, Color: color,
			Label: fmt.Sprintf("%s beside %s %s; goal %s", shown(one.Figure.Median), shown(one.Limit.Median), one.Unit, one.Goal),
		})
	}
	return plot.Execute(w, struct {
		Height, From, Goal, Beside int
		Bars                       []bar
	}{Height: 56 + len(bars)*barHeight, From: barsAt, Goal: barsAt + oneIsWide, Beside: labelsAt, Bars: bars})
}
