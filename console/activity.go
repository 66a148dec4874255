package console

import (
	"errors"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// activity is the last 24 hours of an integration, by hour.
type activity struct {
	ID    string `json:"integration_id"`
	Hours []struct {
		Hour    time.Time `json:"hour"`
		Calls   int       `json:"calls"`
		Errors  int       `json:"errors"`
		Probes  int       `json:"probes"`
		Healthy int       `json:"healthy"`
	} `json:"hours"`

	from time.Time // of the first hour
}

// activityOf reads the activity of integrations, by their ids, in one request; nil: this key may
// not see it.
func (p *page) activityOf(all []integration) (map[string]activity, error) {
	if len(all) == 0 {
		return nil, nil
	}
	ids := make([]string, len(all))
	for n, i := range all {
		ids[n] = i.ID
	}
	var got struct {
		From  time.Time  `json:"from"`
		Items []activity `json:"items"`
	}
	err := p.get("/activity", url.Values{"integration_id": {strings.Join(ids, ",")}}, &got)
	if refused, ok := errors.AsType[*problem](err); ok && refused.Status == http.StatusForbidden {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	byID := map[string]activity{}
	for _, a := range got.Items {
		a.from = got.From
		byID[a.ID] = a
	}
	return byID, nil
}

// Sums are the totals of the 24 hours.
func (a activity) Sums() (s struct{ Calls, Errors, Probes, Healthy int }) {
	for _, h := range a.Hours {
		s.Calls += h.Calls
		s.Errors += h.Errors
		s.Probes += h.Probes
		s.Healthy += h.Healthy
	}
	return s
}

const (
	stripHours = 24
	cell       = 5  // the width of an hour
	sparkHigh  = 16 // the height of a strip
)

// Strip draws the health of each hour: full where every probe was healthy, hatched where one failed,
// dotted where there was none. Hours that are alike are one mark.
func (a activity) Strip() template.HTML {
	var b strings.Builder
	state := make([]byte, stripHours)
	for _, h := range a.Hours {
		if n := int(h.Hour.Sub(a.from) / time.Hour); n >= 0 && n < stripHours && h.Probes > 0 {
			state[n] = 'o'
			if h.Healthy < h.Probes {
				state[n] = 'b'
			}
		}
	}
	for n := 0; n < stripHours; {
		first := n
		for n < stripHours && state[n] == state[first] {
			n++
		}
		x, w := first*cell, (n-first)*cell
		switch state[first] {
		case 'o':
			_, _ = fmt.Fprintf(&b, `<path class="f-ok" d="M%d 2h%dv12h-%dz"/>`, x, w, w)
		case 'b':
			_, _ = fmt.Fprintf(&b, `<path class="f-bad" d="M%d 2h%dv12h-%dz"/><path fill="url(#hatch)" d="M%d 2h%dv12h-%dz"/>`, x, w, w, x, w, w)
		default:
			_, _ = fmt.Fprintf(&b, `<path class="s-unknown" stroke-dasharray="2 3" d="M%d 8h%d"/>`, x, w)
		}
	}
	return template.HTML(b.String()) //nolint:gosec // of numbers
}

// Spark draws the calls of each hour, as high as their share of the busiest: those that failed at
// the bottom.
func (a activity) Spark() template.HTML {
	most := 1
	for _, h := range a.Hours {
		most = max(most, h.Calls)
	}
	var ok, bad strings.Builder
	for _, h := range a.Hours {
		x := int(h.Hour.Sub(a.from)/time.Hour) * cell
		if h.Calls == 0 || x < 0 || x >= stripHours*cell {
			continue
		}
		high := max(math.Round(10*float64(sparkHigh*h.Calls)/float64(most))/10, 1.5)
		failed := math.Round(10*high*float64(h.Errors)/float64(h.Calls)) / 10
		if h.Errors > 0 {
			failed = max(failed, 1.5)
			_, _ = fmt.Fprintf(&bad, `M%d %dv-%gh4v%gz`, x, sparkHigh, failed, failed)
		}
		if worked := high - failed; worked > 0 {
			_, _ = fmt.Fprintf(&ok, `M%d %gv-%gh4v%gz`, x, sparkHigh-failed, worked, worked)
		}
	}
	var b strings.Builder
	for _, one := range []struct{ class, d string }{{"f-ok", ok.String()}, {"f-bad", bad.String()}} {
		if one.d != "" {
			_, _ = fmt.Fprintf(&b, `<path class="%s" d="%s"/>`, one.class, one.d)
		}
	}
	_, _ = fmt.Fprintf(&b, `<path class="axis" d="M0 %dh%d"/>`, sparkHigh, stripHours*cell)
	return template.HTML(b.String()) //nolint:gosec // of numbers
}
