package console

import (
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
)

// fillOffers asks for what the API offers, as far as the search matches.
func (p *page) fillOffers(c *connectPage) error {
	d := c.D
	body := map[string]any{"limit": 200}
	if d.Source != "" {
		body[d.Source] = d.Document
	}
	if c.Q != "" {
		body["select"] = map[string]any{"search": c.Q}
	}
	if after := p.Query("after"); after != "" {
		body["continuation_token"] = after
	}
	var err error
	if d.Into != "" {
		c.Found = &discovery{}
		err = p.post("/integrations/"+url.PathEscape(d.Into)+"/discover", body, c.Found)
	} else {
		doc := d.integration(p)
		if d.Source != "" { // a document is read without credentials
			delete(doc, "auth")
		}
		c.Found, err = p.offers(doc, body)
	}
	if refused, ok := errors.AsType[*problem](err); ok {
		p.Problem, c.Found = refused, &discovery{}
		return nil
	}
	if err != nil {
		return err
	}
	notes := map[string]string{}
	for _, n := range c.Found.Notes {
		notes[n.Name] = strings.TrimSpace(notes[n.Name] + " " + n.Note)
	}
	kept := map[string]json.RawMessage{} // what is ticked, and what this page shows
	for _, name := range d.Ticked {
		kept[name] = d.Offers[name]
	}
	d.Offers = kept
	for _, raw := range c.Found.Endpoints {
		var o offer
		if err := json.Unmarshal(raw, &o.endpoint); err != nil {
			return err
		}
		o.Ticked, o.Have, o.Note = slices.Contains(d.Ticked, o.Name), slices.Contains(c.Found.Configured, o.Name), notes[o.Name]
		d.Offers[o.Name] = raw
		c.Rows = append(c.Rows, o)
	}
	d.weigh()
	p.drafts.grown()
	slices.SortStableFunc(c.Rows, func(a, b offer) int { return strings.Compare(a.Path, b.Path) })
	c.Group = groupsOf(c.Rows)
	if c.Found.ContinuationToken != nil {
		c.Next = p.With("after", *c.Found.ContinuationToken)
	}
	return nil
}
