package console

import (
	"errors"
	"net/url"
	"strings"
	"sync"
)

// usualPlaces are where OpenAPI documents are, below an address.
var usualPlaces = []string{"/openapi.json", "/openapi.yaml", "/swagger.json", "/v3/api-docs", "/swagger/v1/swagger.json", "/api/openapi.json"}

// explore asks an address what it is: a document, a FHIR server, an MCP server, or an API that has a
// document at one of the usual places.
func (p *page) explore(d *draft) {
	at := d.URL
	if u, err := url.Parse(at); err == nil && regexpDocument(u.Path) {
		base := u.Scheme + "://" + u.Host
		if found, err := p.offers(map[string]any{"base_url": base}, map[string]any{"openapi_url": at, "limit": 1}); err == nil && found.Error == nil {
			d.Source, d.Document, d.URL = "openapi_url", at, base
			d.Tried = append(d.Tried, attempt{"OpenAPI document", true, at})
			return
		}
	}
	var test probe
	err := p.post("/integrations/test-connection", map[string]any{"base_url": at}, &test)
	if refused, ok := errors.AsType[*problem](err); ok {
		d.Tried = append(d.Tried, attempt{"address", false, refused.Detail})
		return
	}
	reached := test.HTTPStatus != nil
	d.Tried = append(d.Tried, attempt{"answers", reached, test.Message})
	if !reached {
		return
	}
	type way struct {
		what              string
		integration, body map[string]any
		take              func()
	}
	ways := []way{
		{"FHIR, by /metadata", map[string]any{"protocol": "fhir", "base_url": at}, map[string]any{"limit": 1}, func() { d.Protocol, d.Source = "fhir", "" }},
		{"MCP server", map[string]any{"protocol": "mcp", "mcp_transport": "http", "mcp_url": at}, map[string]any{"limit": 1}, func() { d.Protocol, d.Source = "mcp", "" }},
	}
	for _, place := range usualPlaces {
		ways = append(ways, way{"OpenAPI at " + place, map[string]any{"base_url": at}, map[string]any{"openapi_url": at + place, "limit": 1}, func() { d.Source, d.Document = "openapi_url", at+place }})
	}
	results := make([]attempt, len(ways))
	var all sync.WaitGroup
	room := make(chan struct{}, 4)
	for n, w := range ways {
		all.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			results[n] = attempt{What: w.what}
			found, err := p.offers(w.integration, w.body)
			switch {
			case err != nil:
				results[n].Text = err.Error()
			case found.Error != nil:
				results[n].Text = *found.Error
			default:
				results[n].OK, results[n].Text = true, plural(found.Total, "operation", "operations")
			}
		})
	}
	all.Wait()
	taken := false
	for n, r := range results {
		if r.OK && !taken {
			ways[n].take()
			taken = true
		}
		d.Tried = append(d.Tried, r)
	}
}

func regexpDocument(path string) bool {
	for _, end := range []string{".json", ".yaml", ".yml", "api-docs"} {
		if strings.HasSuffix(path, end) {
			return true
		}
	}
	return false
}
