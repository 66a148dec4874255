package domain

import "encoding/json"

// Discovery lists what an upstream offers, as endpoints that could be configured.
// It is never stored.
type Discovery struct {
	Source    string // what was read: tools/list, CapabilityStatement, OpenAPI, cURL, Postman or HAR
	Offers    []Offer
	Skipped   []Skipped // what is not offered
	Total     int       // how many operations the Select takes, offered or not
	Next      int       // After of the next page, 0 when there is none
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
	BodyFormat  string          `json:"body_format,omitempty"` // "": Body has it

	Headers     map[string]string `json:"headers,omitempty"` // that have one value only
	Parameters  Parameters        `json:"parameters,omitempty"`
	Body        *Body             `json:"body,omitempty"`
	Tool        string            `json:"tool,omitempty"` // MCP: the name of the tool, where an endpoint can't have it
	Title       string            `json:"title,omitempty"`
	Annotations *Annotations      `json:"annotations,omitempty"`

	OutputSchema json.RawMessage `json:"output_schema,omitempty"` // nil: none
	Notes        []string        `json:"-"`                       // what was simplified, for a person

	// What a Select looks at, besides what an endpoint has.
	Tags         []string `json:"-"`
	ResourceType string   `json:"-"` // FHIR
	Interaction  string   `json:"-"` // FHIR
}

// Candidate returns what a Select looks at.
func (o Offer) Candidate() Candidate {
	return Candidate{o.Name, o.Description, o.Method, o.Path, o.Tags, o.ResourceType, o.Interaction}
}

// Skipped is an operation that can't be offered.
type Skipped struct {
	Operation string `json:"operation"` // as its description names it, such as GET /things
	Reason    string `json:"reason"`
}

// Is reports whether an integration that has e has the offer, by its name or by its
// request.
func (o Offer) Is(e Endpoint) bool {
	return e.Name == o.Name || e.Path != "" && e.Method == o.Method && e.Path == o.Path && e.BaseURL == o.BaseURL
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

// Description is what a discovery reads, and what it offers of it.
type Description struct {
	URL  string // of a document of OpenAPI 3 or Swagger 2.0, in JSON or YAML
	Text []byte // the document itself
	Form Form   // of Text

	Select Select
	Limit  int // endpoints of a page; 0: as many as an answer has
	After  int // where the page begins: Next of the page before
}

// Form is what a Description describes an API with.
type Form string

// The forms of a Description.
const (
	OpenAPI Form = ""        // OpenAPI 3 or Swagger 2.0
	CURL    Form = "curl"    // commands, for a POSIX shell or cmd.exe
	Postman Form = "postman" // a collection of v2.1, in JSON
	HAR     Form = "har"     // a recording of a browser (HAR 1.2)
)

// Given reports whether there is one.
func (d Description) Given() bool { return d.URL != "" || len(d.Text) > 0 }

// SetByAuth returns the header and the member of the query that the integration's auth
// sets, "" where it sets none.
func (i Integration) SetByAuth() (header, query string) {
	if i.Auth == nil {
		return "", ""
	}
	return i.Auth.header(), i.Auth.QueryName
}

// HeaderProblem returns why a caller can't set a header, "" when it can.
func HeaderProblem(name string) string {
	_, detail := freeHeader(name)
	return detail
}

// HeaderValueProblem returns what is wrong with the value of a header, "" when nothing is.
func HeaderValueProblem(value string) string {
	_, detail := headerValue(value)
	return detail
}

// URLProblem returns what is wrong with a URL to call, "" when nothing is.
func URLProblem(s string) string {
	_, detail := webURL(s)
	return detail
}
