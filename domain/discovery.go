package domain

import "encoding/json"

// Discovery is what an upstream offers, as endpoints that could be configured.
// Nothing of it is written anywhere.
type Discovery struct {
	Source    string // what it was read from: tools/list, CapabilityStatement or OpenAPI
	Offers    []Offer
	Truncated bool   // there is more than is told
	Error     string // "" when it was read, else a sentence a person can act on
	ErrorCode ErrorCode
}

// Offer is an endpoint that could be configured.
type Offer struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Method      string          `json:"method"`
	Path        string          `json:"path"`
	BaseURL     string          `json:"base_url,omitempty"` // "" is that of the integration
	InputSchema json.RawMessage `json:"input_schema"`
	BodyFormat  string          `json:"body_format"`
}

// Problems says what an integration would be refused for that is created with
// the offer as its first endpoint, by rules.
func (o Offer) Problems(rules Rules) []Problem {
	var problems []Problem
	var endpoints []Endpoint
	written := map[string]any(documentOf(o))
	readEndpoints(newObject("", Document{"endpoints": []any{written}}, &problems), &endpoints, rules)
	return problems
}

// Description is a document that describes a REST or FHIR API: OpenAPI 3, in
// JSON or YAML, given itself or by its URL.
type Description struct {
	URL  string
	Text []byte
}

// Given reports whether there is one.
func (d Description) Given() bool { return d.URL != "" || len(d.Text) > 0 }

// URLProblem says what is wrong with a URL that is to be called, "" when nothing is.
func URLProblem(s string) string {
	_, detail := webURL(s)
	return detail
}
