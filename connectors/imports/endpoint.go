package imports

import (
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

const (
	maxAbout  = 1000     // characters of an endpoint's description
	maxSchema = 64 << 10 // bytes of an endpoint's schema
	maxPath   = 2048     // bytes of a path
	maxNotes  = 100      // of an endpoint, but for a few
)

// endpoint is a request on its way to an offer. Its properties are by name.
type endpoint struct {
	name, about         string
	method, path        string
	baseURL             string
	headers             map[string]string
	properties          map[string]map[string]any
	required            []string
	parameters          domain.Parameters
	body                *domain.Body
	notes               []string
	inBody, placeholder map[string]bool // properties
}

// newEndpoint returns the endpoint of a request for an integration, or why there is none.
func newEndpoint(q request, of For) (*endpoint, string) {
	e := &endpoint{
		name: identifierOrNone(q.name), about: clean(q.about, maxAbout), method: q.method, headers: map[string]string{},
		properties: map[string]map[string]any{}, parameters: domain.Parameters{}, inBody: map[string]bool{}, placeholder: map[string]bool{},
	}
	for _, what := range q.leftOut {
		e.leaveOut(what)
	}
	e.notes = append(e.notes, q.notes...)
	if reason := e.place(q, of.BaseURL); reason != "" {
		return nil, reason
	}
	_, query, _ := strings.Cut(q.url, "?")
	query, _, _ = strings.Cut(query, "#")
	fixed := url.Values{}
	for _, m := range append(pairs(query), q.query...) {
		if m.name == of.AuthQuery { // which may be none
			continue
		}
		e.addQuery(m, fixed)
	}
	if len(fixed) > 0 {
		e.path += "?" + fixed.Encode()
	}
	for _, h := range q.header {
		if strings.EqualFold(h.name, of.AuthHeader) && !strings.EqualFold(h.name, "Authorization") {
			e.leaveOut("the header " + clean(h.name, 64) + ": auth sets it")
			continue
		}
		e.addHeader(h)
	}
	e.addBody(q)
	return e, ""
}

func identifierOrNone(s string) string {
	if strings.TrimSpace(s) == "" {
		return ""
	}
	return strings.ToLower(identifier(hump.ReplaceAllString(s, "${1}_$2")))
}

// leaveOut notes a credential that is not a part of the endpoint.
func (e *endpoint) leaveOut(what string) {
	if len(e.notes) < maxNotes {
		e.notes = appendNew(e.notes, "left out: "+what)
	}
}

// property adds a property, under another name if that one is taken, and returns the name.
func (e *endpoint) property(name, place string, schema map[string]any) string {
	called := name
	if _, taken := e.properties[called]; taken {
		called = place + "_" + name
	}
	for n := 2; e.properties[called] != nil; n++ {
		called = place + "_" + name + "_" + strconv.Itoa(n)
	}
	e.properties[called] = schema
	return called
}

// versionNames are members of a query that choose what API it is, not what is asked.
var versionNames = []string{"api-version", "api_version", "apiversion", "version", "v", "api-ver"}

// addQuery adds a member of the query: a parameter, with its value as an example.
func (e *endpoint) addQuery(m member, fixed url.Values) {
	switch {
	case m.name == "":
		return
	case isSecretName(m.name) || isSecret(m.value):
		e.leaveOut("the value of " + clean(m.name, 64) + " in the query")
		if isSecretName(m.name) {
			return // auth sets it
		}
		m.value = ""
	case slices.Contains(versionNames, strings.ToLower(m.name)) && m.value != "" && variable(m.value) == "":
		fixed.Set(m.name, m.value)
		return
	}
	if known, again := e.properties[m.name]; again && e.parameters[m.name].In == domain.InQuery { // an array
		if known["type"] != "array" {
			e.properties[m.name] = map[string]any{"type": "array", "items": map[string]any{"type": "string"}}
			if about := known["description"]; about != nil {
				e.properties[m.name]["description"] = about
			}
		}
		return
	}
	name := e.property(m.name, "query", described(scalarOf(m.value), m.about))
	p := domain.Parameter{In: domain.InQuery}
	if name != m.name {
		p.Name = m.name
	}
	e.parameters[name] = p
}

// transportHeaders describe the connection, the browser or the page, or are set by the
// service.
var transportHeaders = []string{
	"Host", "Connection", "Content-Length", "Accept-Encoding", "User-Agent", "Origin", "Referer", "Dnt", "Pragma", "Cache-Control", "Te", "Priority",
	"Upgrade-Insecure-Requests", "If-None-Match", "If-Modified-Since", "Range", "Expect", "Transfer-Encoding", "Content-Type", "X-Requested-With", "Save-Data",
	"Postman-Token", "Via", "Forwarded", "Keep-Alive", "Proxy-Connection", "Accept-Language", "Traceparent", "Tracestate", "X-Request-Id", "Newrelic",
}

// perCall are headers whose value belongs to one call.
var perCall = []string{"Idempotency-Key", "If-Match", "If-None-Exist", "Prefer"}

// addHeader adds a header as a constant of the endpoint, or as a parameter where its value
// is one of a single call.
func (e *endpoint) addHeader(h member) {
	name := textproto.CanonicalMIMEHeaderKey(h.name)
	lower := strings.ToLower(name)
	switch {
	case name == "" || strings.HasPrefix(name, ":") || slices.Contains(transportHeaders, name) || strings.HasPrefix(lower, "sec-") || strings.HasPrefix(lower, "x-forwarded-"):
	case name == "Accept" && (h.value == "*/*" || strings.Contains(h.value, jsonMedia+",") || h.value == jsonMedia):
	case name == "Authorization":
		how := "configure auth"
		switch scheme, _, _ := strings.Cut(strings.ToLower(h.value), " "); scheme {
		case "bearer":
			how = "configure auth of type bearer_token"
		case "basic":
			how = "configure auth of type basic"
		}
		e.leaveOut("the header Authorization: " + how)
	case name == "Cookie" || name == "Set-Cookie":
		e.leaveOut("the header " + name)
	case isSecretName(name) || isSecret(h.value):
		e.leaveOut("the header " + clean(name, 64) + ": configure auth of type api_key_header")
	case headerProblem(name) != "" && len(e.notes) >= maxNotes:
	case headerProblem(name) != "":
		e.notes = appendNew(e.notes, "the header "+clean(name, 64)+" is left out: it "+headerProblem(name))
	case slices.Contains(perCall, name) || strings.Contains(h.value, "{"):
		e.parameters[e.property(name, "header", described(map[string]any{"type": "string"}, h.about))] = domain.Parameter{In: domain.InHeader}
	case len(h.value) > 0 && len(h.value) <= 1024 && !strings.ContainsFunc(h.value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		e.headers[name] = h.value
	}
}

// merge adds what another request for the same has besides.
func (e *endpoint) merge(other *endpoint) {
	for name, schema := range other.properties {
		if e.properties[name] == nil {
			e.properties[name] = schema
			if p, listed := other.parameters[name]; listed {
				e.parameters[name] = p
			}
		}
	}
	e.required = slices.DeleteFunc(e.required, func(name string) bool { // but what each request has
		return !e.placeholder[name] && !slices.Contains(other.required, name)
	})
	for name, value := range e.headers {
		if other.headers[name] != value {
			delete(e.headers, name)
		}
	}
	for _, note := range other.notes {
		if len(e.notes) < maxNotes {
			e.notes = appendNew(e.notes, note)
		}
	}
	if e.body == nil {
		e.body = other.body
	}
}

// offer returns the endpoint under a name, or why it can't be one.
func (e *endpoint) offer(name string) (domain.Offer, string) {
	schema := map[string]any{"type": "object", "properties": e.properties}
	if len(e.required) > 0 {
		slices.Sort(e.required)
		schema["required"] = e.required
	}
	written, err := jsonvalue.Compact(schema)
	data := []byte(written)
	if err != nil {
		return domain.Offer{}, "its parameters can't be described"
	}
	o := domain.Offer{
		Name: name, Description: e.about, Method: e.method, Path: e.path, BaseURL: e.baseURL, InputSchema: data,
		Headers: e.headers, Parameters: maps.Clone(e.parameters), Body: e.body, Notes: e.notes,
	}
	if o.Description == "" {
		o.Description = e.method + " " + e.path
	}
	if len(data) > maxSchema {
		o.InputSchema = []byte(`{}`)
		o.Notes = append(o.Notes, "the schema is too large: the endpoint takes any parameters")
	}
	if o.Body == nil {
		o.BodyFormat = "json"
		if e.method != http.MethodGet && e.method != http.MethodDelete {
			o.Body, o.BodyFormat = &domain.Body{Format: domain.NoBody}, ""
		}
	}
	return o, ""
}
