package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
)

// endpointPage: an engineer came to see what a call of the endpoint sends, what comes back, and
// what the model gets.
type endpointPage struct {
	I       integration
	Tab     string
	E       endpoint
	Raw     json.RawMessage // the endpoint, with all its settings
	Fields  []paramField
	AsJSON  bool
	Text    string
	Result  *tested
	Steps   []pipelineStep
	Command string // as cURL
	Tools   []toolForm
	MayTest bool
	Mapping *mapping // to try on the answer; nil: there is none
}

// A paramField is a parameter in the form. One that is left empty is not sent.
type paramField struct {
	Name, Type, Description, Value, Problem string
	Required                                bool
	Enum                                    []string
}

// tested is the result of a test of an endpoint.
type tested struct {
	StatusCode   *int            `json:"status_code"`
	DurationMS   float64         `json:"duration_ms"`
	Raw          json.RawMessage `json:"raw_response"`
	Truncated    bool            `json:"truncated"`
	AfterFilter  json.RawMessage `json:"after_filter"`
	AfterMapping json.RawMessage `json:"after_mapping"`
	FinalResult  string          `json:"final_result"`
	Error        *string         `json:"error"`
	ErrorCode    *string         `json:"error_code"`
	AuthorizeURL *string         `json:"authorize_url"`
	Request      struct {
		Method  string      `json:"method"`
		URL     string      `json:"url"`
		Headers http.Header `json:"headers"`
		Body    *string     `json:"body"`
	} `json:"request"`
	Attempts []struct {
		StatusCode *int    `json:"status_code"`
		DurationMS float64 `json:"duration_ms"`
		Error      *string `json:"error"`
	} `json:"attempts"`
	DryRun bool `json:"-"`
}

// pipelineStep is one column of what becomes of an answer.
type pipelineStep struct {
	Name, Text, Size string
	Same             bool // as the step before
}

// toolForm is the endpoint as a provider of models takes it.
type toolForm struct{ Name, Text string }

// schema is the part of a JSON Schema that a form is made of.
type schema struct {
	Type        any               `json:"type"`
	Description string            `json:"description"`
	Properties  map[string]schema `json:"properties"`
	Required    []string          `json:"required"`
	Enum        []any             `json:"enum"`
	Default     any               `json:"default"`
	Examples    []any             `json:"examples"`
}

func (p *page) endpoint() (d endpointPage, err error) {
	p.Nav = "integrations"
	name := p.r.PathValue("endpoint")
	got, err := p.do(ask{method: http.MethodGet, path: p.below("/integrations/" + p.part0())})
	if err != nil {
		return d, err
	}
	var raw struct {
		Endpoints []json.RawMessage `json:"endpoints"`
	}
	if err := errors.Join(json.Unmarshal(got.body, &d.I), json.Unmarshal(got.body, &raw)); err != nil {
		return d, err
	}
	n := slices.IndexFunc(d.I.Endpoints, func(e endpoint) bool { return e.Name == name })
	if n < 0 {
		return d, &problem{Status: http.StatusNotFound, Title: "No such endpoint", Detail: "The integration has no endpoint " + name + ".", Code: "endpoint_not_found"}
	}
	d.Tab, d.E, d.Raw = "overview", d.I.Endpoints[n], raw.Endpoints[n]
	d.MayTest = !d.E.Writes() || p.Me.May("Integration.invoke")
	return d, nil
}

func showEndpoint(p *page) error {
	d, err := p.endpoint()
	if err != nil {
		return err
	}
	d.AsJSON = p.Query("view") == "json"
	values := map[string]any{}
	d.Fields = fieldsOf(d.E.InputSchema, p.r.URL.Query(), nil)
	for _, f := range d.Fields {
		if f.Value != "" {
			values[f.Name] = f.Value
		}
	}
	d.Text = pretty(values)
	if err := p.fillTools(&d); err != nil {
		return err
	}
	return p.render("endpoint", d.E.Name, d)
}

func runEndpoint(p *page) error {
	d, err := p.endpoint()
	if err != nil {
		return err
	}
	if err := p.r.ParseForm(); err != nil {
		return err
	}
	d.AsJSON = p.r.FormValue("view") == "json"
	d.Fields = fieldsOf(d.E.InputSchema, p.r.Form, nil)
	params, err := paramsOf(d, p.r.Form)
	d.Text = p.r.FormValue("text")
	if err != nil {
		p.Problem = &problem{Status: http.StatusUnprocessableEntity, Title: "This is no JSON", Detail: "The parameters can't be read as a JSON object: " + err.Error(), Code: "json_invalid"}
		return p.render("endpoint", d.E.Name, d)
	}
	if d.Text == "" {
		d.Text = pretty(params)
	}
	dry := p.r.FormValue("do") == "dry"
	d.Result = &tested{}
	err = p.post("/integrations/"+p.part0()+"/endpoints/"+url.PathEscape(d.E.Name)+"/test", map[string]any{"params": params, "dry_run": dry}, d.Result)
	if refused, ok := errors.AsType[*problem](err); ok {
		p.Problem, d.Result = refused, nil
		d.Fields = fieldsOf(d.E.InputSchema, p.r.Form, refused)
	} else if err != nil {
		return err
	} else {
		d.Result.DryRun = dry
		d.Steps, d.Command = stepsOf(d.Result), commandOf(d.Result)
		d.Mapping = mappingOf(d)
	}
	return p.render("endpoint", d.E.Name, d)
}

// fillTools renders the endpoint as a tool, in the formats that providers take.
func (p *page) fillTools(d *endpointPage) error {
	if !d.I.Enabled {
		return nil
	}
	for _, format := range []string{"openai", "anthropic", "mcp", "gemini"} {
		var got struct {
			Tools []struct {
				Tool json.RawMessage `json:"tool"`
			} `json:"tools"`
		}
		a := ask{
			method: http.MethodPost, path: p.below("/integration-tools/resolve"), query: url.Values{"format": {format}},
			body: map[string]any{"integration_tools": []any{map[string]any{"integration": d.I.Name, "endpoint": d.E.Name}}},
		}
		answer, err := p.do(a)
		if err == nil {
			err = json.Unmarshal(answer.body, &got)
		}
		if err != nil {
			return err
		}
		if len(got.Tools) == 1 {
			d.Tools = append(d.Tools, toolForm{format, pretty(got.Tools[0].Tool)})
		}
	}
	return nil
}
