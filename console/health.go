package console

import (
	"html/template"
	"net/url"
	"slices"
	"time"
)

// healthPage: the person on call came to see what fails now, and since when.
type healthPage struct {
	I     integration
	Tab   string
	Items []integration
	Count struct{ OK, Bad, Unknown, Off int }
	Past  *probes
	Bars  template.HTML
	More  string
	First string
}

// showHealth lists every integration, those that fail first.
func showHealth(p *page) error {
	p.Nav = "health"
	var got listed
	if err := p.get("/integrations", url.Values{"limit": {"200"}, "sort_by": {"name"}}, &got); err != nil {
		return err
	}
	d := healthPage{Items: got.Items}
	order := map[string]int{"bad": 0, "unknown": 1, "ok": 2, "off": 3}
	for _, i := range d.Items {
		switch markOf(i.Status()).Class {
		case "ok":
			d.Count.OK++
		case "bad":
			d.Count.Bad++
		case "off":
			d.Count.Off++
		default:
			d.Count.Unknown++
		}
	}
	slices.SortStableFunc(d.Items, func(a, b integration) int { return order[markOf(a.Status()).Class] - order[markOf(b.Status()).Class] })
	return p.render("health", "Health", d)
}

// showProbes shows the health of one integration over time.
func showProbes(p *page) error {
	i, err := p.one()
	if err != nil {
		return err
	}
	d := healthPage{I: i, Tab: "health", Past: &probes{}}
	q := url.Values{"limit": {"50"}}
	if after := p.Query("after"); after != "" {
		q.Set("continuation_token", after)
		d.First = p.With("after", "")
	}
	if err := p.get("/integrations/"+p.part0()+"/health", q, d.Past); err != nil {
		return err
	}
	if d.Past.HasMore {
		d.More = p.With("after", text(d.Past.ContinuationToken))
	}
	t, err := p.timeline(p.part0(), url.Values{"buckets": {"48"}, "from": {p.now().Add(-24 * time.Hour).UTC().Format(time.RFC3339)}})
	if err != nil {
		return err
	}
	c := &chart{from: t.From, to: t.To}
	c.WriteString(hatch)
	c.states(t.States, 0, 24)
	d.Bars = c.html()
	return p.render("probes", i.DisplayName+" · Health", d)
}
