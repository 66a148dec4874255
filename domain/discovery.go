package domain

import "encoding/json"

// Discovery lists what an upstream offers, as endpoints that could be configured.
// It is never stored.
type Discovery struct {
	Source    string // what was read: tools/list, CapabilityStatement or OpenAPI
	Offers    []Offer
	Skipped   []Skipped // what is not offered
	Total     int       // how many operations there are, offered or not
	Truncated bool      // the upstream offers more
	Error     string    // "" on success, else a sentence for a person
	ErrorCode ErrorCode
}

// Offer is an endpoint that could be configured.
type Offer struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Method      string          `json:"method"`
	Path        string          `json:"path"`
	BaseURL     string          `json:"base_url,omitempty"` // "": that of the integration
	InputSchema json.RawMessage `json:"input_schema"`
	BodyFormat  string          `json:"body_format"`

	Parameters Parameters `json:"parameters,omitempty"`
	Body       *Body      `json:"body,omitempty"`
	Tool       string     `json:"tool,omitempty"` // MCP: the name of the tool, where an endpoint can't have it
	Notes      []string   `json:"-"`              // what was simplified, for a person
}

// Skipped is an operation that can't be offered.
type Skipped struct {
	Operation string `json:"operation"` // as its description names it, such as GET /things
	Reason    string `json:"reason"`
}

// Problems returns the problems that rules find in an integration whose first
// endpoint is the offer.
func (o Offer) Problems(rules Rules) []Problem {
	var problems []Problem
	var endpoints []Endpoint
	written := map[string]any(documentOf(o))
	readEndpoints(newObject("", Document{"endpoints": []any{written}}, &problems), &endpoints, rules)
	return problems
}

// Description is a document that describes a REST or FHIR API: OpenAPI 3, in
// JSON or YAML, by value or by URL.
type Description struct {
	URL  string
	Text []byte
}

// Given reports whether there is one.
func (d Description) Given() bool { return d.URL != "" || len(d.Text) > 0 }

// URLProblem returns what is wrong with a URL to call, "" when nothing is.
func URLProblem(s string) string {
	_, detail := webURL(s)
	return detail
}
