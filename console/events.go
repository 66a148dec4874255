package console

import (
	"net/http"
	"net/url"
	"strconv"
)

// eventsPage: an auditor came to see who did what to what.
type eventsPage struct {
	Items   []feedEvent
	Older   string
	First   string
	Filters bool
	Live    string // the address of the stream; "": this page has none
	Export  string
}

func showEvents(p *page) error {
	p.Nav = "events"
	var d eventsPage
	q := url.Values{"limit": {"50"}, "order": {"newest"}}
	span, err := p.span()
	if err != nil {
		return err
	}
	for name, param := range map[string]string{"type": "type", "actor": "actor", "integration": "integration_id"} {
		if value := p.Query(name); value != "" {
			q.Set(param, value)
		}
	}
	for _, name := range []string{"from", "to"} {
		if value := span.Get(name); value != "" {
			q.Set(name, value)
		}
	}
	d.Filters = len(q) > 2
	if after := p.Query("after"); after != "" {
		q.Set("continuation_token", after)
		d.First = p.With("after", "")
	}
	var got struct {
		Items             []feedEvent `json:"items"`
		HasMore           bool        `json:"has_more"`
		ContinuationToken *string     `json:"continuation_token"`
	}
	if err := p.get("/integrations/events", q, &got); err != nil {
		return err
	}
	d.Items = got.Items
	if d.First == "" && q.Get("to") == "" { // a span with an end gets no more
		if d.Live, err = p.liveEvents(got.Items, d.Filters); err != nil {
			return err
		}
	}
	if got.HasMore {
		d.Older = p.With("after", text(got.ContinuationToken))
	}
	d.Export = p.Base() + "/events.ndjson?" + p.r.URL.Query().Encode()
	return p.render("events", "Events", d)
}

// liveEvents returns the address of the stream that goes on where a page ends.
func (p *page) liveEvents(shown []feedEvent, filtered bool) (string, error) {
	if filtered { // the page need not have the last event of all
		var got struct {
			Items []feedEvent `json:"items"`
		}
		if err := p.get("/integrations/events", url.Values{"limit": {"1"}, "order": {"newest"}}, &got); err != nil {
			return "", err
		}
		shown = got.Items
	}
	q := url.Values{}
	if len(shown) > 0 {
		q.Set("from", strconv.FormatUint(shown[0].Position, 10))
	}
	for _, name := range []string{"type", "actor", "integration"} {
		if value := p.Query(name); value != "" {
			q.Set(name, value)
		}
	}
	return p.Base() + "/events/live?" + q.Encode(), nil
}

// exportEvents streams the events of a filter, whole.
func exportEvents(p *page) error {
	q := url.Values{}
	for name, param := range map[string]string{"type": "type", "actor": "actor", "integration": "integration_id", "from": "from", "to": "to"} {
		if value := p.Query(name); value != "" {
			q.Set(param, value)
		}
	}
	r, err := p.request(p.r.Context(), p.session.Key, ask{method: http.MethodGet, path: p.below("/integrations/events"), query: q, header: map[string]string{"Accept": "application/x-ndjson"}})
	if err != nil {
		return err
	}
	p.w.Header().Set("Content-Disposition", `attachment; filename="events.ndjson"`)
	p.api.ServeHTTP(p.w, r)
	return nil
}
