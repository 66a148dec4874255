package domain

import (
	"encoding/json"
	"net/textproto"
	"slices"
)

// Endpoint is one named operation of an integration, described for an LLM.
type Endpoint struct {
	Name            string            `json:"name"`
	Description     string            `json:"description"`
	Path            string            `json:"path"`
	Method          string            `json:"method"`
	Headers         map[string]string `json:"headers"`
	InputSchema     json.RawMessage   `json:"input_schema"` // JSON Schema 2020-12
	BodyFormat      string            `json:"body_format"`  // json or form; the short form of Body
	Parameters      Parameters        `json:"parameters,omitempty"`
	Body            *Body             `json:"body,omitempty"`
	Tool            string            `json:"tool,omitempty"`          // MCP: the name of the upstream's tool, where it differs from Name
	Title           string            `json:"title,omitempty"`         // for people; "": the name
	Annotations     *Annotations      `json:"annotations,omitempty"`   // over what the method means
	OutputSchema    json.RawMessage   `json:"output_schema,omitempty"` // JSON Schema 2020-12 of the result, which is an object; nil: none is promised
	BaseURL         string            `json:"base_url,omitempty"`
	Auth            *Auth             `json:"auth,omitempty"`
	ResponseFilter  []string          `json:"response_filter,omitempty"`  // JMESPath, the paths to keep
	ResponseMapping map[string]string `json:"response_mapping,omitempty"` // new name to JMESPath
	ResultKey       string            `json:"result_key,omitempty"`       // JMESPath
	ResultTemplate  string            `json:"result_template,omitempty"`
	MaxResultLength int               `json:"max_result_length"` // characters; 0: unlimited
	ResultDelivery  string            `json:"result_delivery"`   // interrupt or queue; kept for the caller
	Retry           RetryConfig       `json:"retry_config"`
	TimeoutMS       int               `json:"timeout_ms"`
	Approval        ApprovalRule      `json:"approval,omitempty"` // empty: never
	Record          RecordRule        `json:"record,omitempty"`   // what is kept of its calls; empty: no bodies
}

// RetryConfig configures how often, and on which statuses, a call is retried.
type RetryConfig struct {
	MaxRetries    int   `json:"max_retries"`
	RetryOnStatus []int `json:"retry_on_status"`
}

// maxEndpoints is the most endpoints that an integration may have.
const maxEndpoints = 200

// defaultEndpoint returns an endpoint with default values.
func defaultEndpoint() Endpoint {
	return Endpoint{
		Method:         "POST",
		InputSchema:    json.RawMessage(`{}`),
		BodyFormat:     "json",
		ResultDelivery: "interrupt",
		Retry:          RetryConfig{MaxRetries: 2, RetryOnStatus: []int{429, 502, 503, 504}},
		TimeoutMS:      30_000,
	}
}

// Placeholders returns the names of the placeholders in the path, in order.
func (e Endpoint) Placeholders() []string { return placeholders(e.PlainPath()) }

// readEndpoints reads the endpoints member, which replaces the array. The auth of
// an endpoint is read over that of the present endpoint with the same name, and its
// approval and record remain unless they are given. It returns the secrets that were given, by index of the endpoint.
func readEndpoints(o *object, into *[]Endpoint, rules Rules) map[int]givenSecrets {
	present := *into
	endpoints, given := []Endpoint{}, map[int]givenSecrets{}
	if !o.list("endpoints", maxEndpoints, func(at string, element any) {
		members, ok := element.(map[string]any)
		if !ok {
			(&object{at: at, problems: o.problems}).problem("", "type", "must be an object")
			return
		}
		in := newObject(at, members, o.problems)
		e := defaultEndpoint()
		in.text("name", &e.Name, length(1, 128), endpointName)
		var auth *Auth
		if same := slices.IndexFunc(present, e.sameName); same >= 0 {
			e.Approval, e.Record = present[same].Approval, present[same].Record // nobody ends these by leaving them out
			if in.members["auth"] != nil {
				auth = present[same].Auth
			}
		}
		e.Auth, given[len(endpoints)] = readAuth(in, auth)
		e.read(in, rules)
		if e.Name != "" && slices.ContainsFunc(endpoints, func(other Endpoint) bool { return other.Name == e.Name }) {
			in.problem("name", "duplicate", "is the name of another endpoint here")
		}
		endpoints = append(endpoints, e)
	}) {
		return nil
	}
	if rules.keepEndpoints { // behind those of the request, so that problems point into it
		kept := slices.DeleteFunc(present, func(p Endpoint) bool { return slices.ContainsFunc(endpoints, p.sameName) })
		if endpoints = append(endpoints, kept...); len(endpoints) > maxEndpoints {
			o.problem("endpoints", "too_many", "would make %d endpoints; at most %d are allowed", len(endpoints), maxEndpoints)
		}
	}
	*into = endpoints
	return given
}

func (e Endpoint) sameName(other Endpoint) bool { return e.Name == other.Name }

// orderEndpoints keeps the order of the present endpoints, before new ones.
func (i *Integration) orderEndpoints(present []Endpoint) {
	place := func(e Endpoint) int {
		if at := slices.IndexFunc(present, e.sameName); at >= 0 {
			return at
		}
		return len(present)
	}
	slices.SortStableFunc(i.Endpoints, func(a, b Endpoint) int { return place(a) - place(b) })
}

// RemovedEndpoints returns the names of the endpoints that a change from one
// configuration to another removes.
func RemovedEndpoints(from, to Configuration) []string {
	var removed []string
	for _, e := range from.Endpoints {
		if !slices.ContainsFunc(to.Endpoints, e.sameName) {
			removed = append(removed, e.Name)
		}
	}
	return removed
}

// read reads everything but the name and the auth.
func (e *Endpoint) read(in *object, rules Rules) {
	e.Headers = map[string]string{}
	in.text("description", &e.Description, length(1, 2048))
	in.text("path", &e.Path, length(0, 2048), relativePath)
	choice(in, "method", &e.Method, "GET", "POST", "PUT", "PATCH", "DELETE")
	in.object("headers", func(h *object) { e.readHeaders(h) })
	e.readSchema(in, rules)
	choice(in, "body_format", &e.BodyFormat, JSONBody, FormBody)
	short, shortGiven := e.BodyFormat, in.members["body_format"] != nil
	in.object("body", func(b *object) { e.readBody(b) })
	if shortGiven && e.BodyFormat != short {
		in.problem("body_format", "not_allowed", "is the short form of body, which has another format")
	}
	in.object("parameters", func(p *object) { e.readParameters(p) })
	in.nullableText("tool", &e.Tool, length(1, 256), noControl)
	in.nullableText("title", &e.Title, length(1, 128), noControl)
	e.Annotations = readAnnotations(in)
	e.readOutputSchema(in, rules)
	in.nullableText("base_url", &e.BaseURL, ofAccount(baseURL))
	e.readSteps(in, rules, 1)
	choice(in, "result_delivery", &e.ResultDelivery, "interrupt", "queue")
	in.object("retry_config", func(r *object) { e.Retry.read(r) })
	in.integer("timeout_ms", &e.TimeoutMS, 100, 120_000)
	e.readOversight(in)
	in.required("name", e.Name != "")
	in.required("description", e.Description != "")
	_, pathGiven := in.given("path")
	in.required("path", pathGiven)
	in.done()
}

// readOversight reads how an operator oversees the calls of an endpoint. The defaults are
// stored as empty.
func (e *Endpoint) readOversight(in *object) {
	choice(in, "approval", &e.Approval, ApproveNever, ApproveWrites, ApproveAlways)
	choice(in, "record", &e.Record, RecordNone, RecordBodies)
	if e.Approval == ApproveNever {
		e.Approval = ""
	}
	if e.Record == RecordNone {
		e.Record = ""
	}
}

func (e *Endpoint) readHeaders(in *object) {
	if len(in.members) > 50 {
		in.problem("", "too_many", "has %d members; at most 50 are allowed", len(in.members))
		return
	}
	in.each(func(name string) {
		var value string
		in.text(name, &value, headerValue)
		if in.check(name, name, plainHeader) && namesMethod(name) && (e.Method == "GET" || placeholderSyntax.MatchString(value)) {
			in.problem(name, "header_not_allowed", "names another method than that of the endpoint: no endpoint with the method GET can have it, nor one whose callers choose its value")
		}
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if _, twice := e.Headers[canonical]; twice {
			in.problem(name, "duplicate", "is the same header as another one here")
		}
		e.Headers[canonical] = value
	})
}

func (e *Endpoint) readSchema(in *object, rules Rules) {
	schema, ok := member[map[string]any](in, "input_schema", "an object")
	if !ok {
		return
	}
	data, err := json.Marshal(schema)
	if err == nil {
		err = rules.Schema(data)
	}
	if err != nil {
		in.problem("input_schema", "schema_invalid", "is not a JSON Schema (2020-12): %v", err)
		return
	}
	if kind, given := schema["type"]; given && !takesObject(kind) {
		in.problem("input_schema", "schema_invalid", "must have a type that includes object, or none: the parameters of a call are an object")
		return
	}
	e.InputSchema = data
}

// readOutputSchema reads the schema of the result. MCP demands that it is of an object.
func (e *Endpoint) readOutputSchema(in *object, rules Rules) {
	if in.null("output_schema") {
		e.OutputSchema = nil
	}
	schema, ok := member[map[string]any](in, "output_schema", "an object")
	if !ok {
		return
	}
	data, err := json.Marshal(schema)
	if err == nil {
		err = rules.Schema(data)
	}
	if err != nil {
		in.problem("output_schema", "schema_invalid", "is not a JSON Schema (2020-12): %v", err)
		return
	}
	if schema["type"] != "object" {
		in.problem("output_schema", "schema_invalid", "must have the type object: MCP has no other structured results")
		return
	}
	e.OutputSchema = data
}

// takesObject reports whether the type of a schema, one name or several, includes object.
func takesObject(kind any) bool {
	among, _ := kind.([]any)
	return kind == "object" || slices.Contains(among, any("object"))
}

// Limits of the steps that shape an answer.
const (
	maxExpressions  = 100 // in a filter, and in a mapping
	maxExpression   = 512 // characters
	maxTemplate     = 16_384
	maxResultLength = 10_000_000
)

// readSteps reads the steps of an endpoint that shape answers. Least is how many characters an
// expression and a template have at least.
func (e *Endpoint) readSteps(in *object, rules Rules, least int) {
	expression := length(least, maxExpression)
	in.texts("response_filter", &e.ResponseFilter, maxExpressions, expression, rules.expression)
	in.object("response_mapping", func(m *object) {
		if len(m.members) > maxExpressions {
			m.problem("", "too_many", "has %d members; at most %d are allowed", len(m.members), maxExpressions)
			return
		}
		e.ResponseMapping = map[string]string{}
		m.each(func(name string) {
			var path string
			m.text(name, &path, expression, rules.expression)
			e.ResponseMapping[name] = path
		})
	})
	in.nullableText("result_key", &e.ResultKey, expression, rules.expression)
	in.nullableText("result_template", &e.ResultTemplate, length(least, maxTemplate), rules.template)
	in.integer("max_result_length", &e.MaxResultLength, 0, maxResultLength)
}

func (r *RetryConfig) read(in *object) {
	in.integer("max_retries", &r.MaxRetries, 0, 10)
	statuses := []int{}
	if in.list("retry_on_status", 50, func(at string, element any) {
		one := newObject(at, map[string]any{"": element}, in.problems)
		var status int
		one.integer("", &status, 400, 599)
		statuses = append(statuses, status)
	}) {
		r.RetryOnStatus = statuses
	}
	in.done()
}
