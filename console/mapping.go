package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// mapping is what somebody tries on an answer: the steps of an endpoint, changed.
type mapping struct {
	Raw    string // the answer, as JSON
	Filter string // paths to keep, one a line
	Map    string // of response_mapping, as JSON
	Key    string // of result_key
	Tried  bool
	Wrong  string // what can't be read; "": nothing
	Steps  []pipelineStep
}

// maxTried bounds the answer that a page offers to try a mapping on.
const maxTried = 64 << 10

// mappingOf returns what the page of a run offers to try; nil: its answer is no JSON, or too long.
func mappingOf(d endpointPage) *mapping {
	if d.Result == nil || d.Result.DryRun || len(d.Result.Raw) == 0 || len(d.Result.Raw) > maxTried || !json.Valid(d.Result.Raw) || string(d.Result.Raw) == "null" {
		return nil
	}
	var e struct {
		Filter  []string          `json:"response_filter"`
		Mapping map[string]string `json:"response_mapping"`
		Key     *string           `json:"result_key"`
	}
	if json.Unmarshal(d.Raw, &e) != nil {
		return nil
	}
	m := &mapping{Raw: pretty(d.Result.Raw), Filter: strings.Join(e.Filter, "\n"), Key: text(e.Key)}
	if len(e.Mapping) > 0 {
		m.Map = pretty(e.Mapping)
	}
	return m
}

// tryMapping runs an answer through the steps that a form has. It calls no upstream, and changes
// nothing.
func tryMapping(p *page) error {
	d, err := p.endpoint()
	if err != nil {
		return err
	}
	m := &mapping{Raw: p.r.FormValue("raw"), Filter: p.r.FormValue("filter"), Map: p.r.FormValue("map"), Key: strings.TrimSpace(p.r.FormValue("key")), Tried: true}
	if m.Wrong, err = p.tryOn(m); err != nil {
		return err
	}
	d.Mapping, d.Fields = m, fieldsOf(d.E.InputSchema, nil, nil)
	if p.isPart() {
		p.Data = d
		p.part("endpoint", "mapped", http.StatusOK)
		return nil
	}
	return p.render("endpoint", d.E.Name, d)
}

// tryOn fills in the steps. It returns a sentence if the form or a step is wrong.
func (p *page) tryOn(m *mapping) (wrong string, err error) {
	body := map[string]any{}
	if !json.Valid([]byte(m.Raw)) {
		return "The answer is no JSON.", nil
	}
	body["response"] = json.RawMessage(m.Raw)
	if lines := strings.Fields(strings.ReplaceAll(m.Filter, "\r", "")); len(lines) > 0 {
		body["response_filter"] = lines
	}
	if strings.TrimSpace(m.Map) != "" {
		var asked map[string]string
		if err := json.Unmarshal([]byte(m.Map), &asked); err != nil {
			return "The mapping must be a JSON object of names and expressions: " + err.Error() + ".", nil
		}
		body["response_mapping"] = asked
	}
	if m.Key != "" {
		body["result_key"] = m.Key
	}
	var got struct {
		Filtered json.RawMessage `json:"after_filter"`
		Mapped   json.RawMessage `json:"after_mapping"`
		Final    string          `json:"final_result"`
		Error    *string         `json:"error"`
	}
	err = p.post("/integrations/reshape", body, &got)
	if refused, ok := errors.AsType[*problem](err); ok && refused.Status == http.StatusUnprocessableEntity {
		return refused.Detail, nil
	}
	if err != nil {
		return "", err
	}
	for _, s := range []struct {
		name string
		raw  json.RawMessage
	}{{"Filtered", got.Filtered}, {"Mapped", got.Mapped}} {
		if string(s.raw) != "null" {
			m.Steps = append(m.Steps, pipelineStep{Name: s.name, Text: pretty(s.raw), Size: size(len(s.raw))})
		}
	}
	if got.Error != nil {
		return *got.Error, nil
	}
	m.Steps = append(m.Steps, pipelineStep{Name: "Result", Text: pretty(json.RawMessage(got.Final)), Size: size(len(got.Final))})
	return "", nil
}
