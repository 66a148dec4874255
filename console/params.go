package console

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// fieldsOf returns the fields for the parameters of a schema: those that are required first.
func fieldsOf(raw json.RawMessage, values url.Values, refused *problem) (all []paramField) {
	var s schema
	if json.Unmarshal(raw, &s) != nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		of := s.Properties[name]
		f := paramField{Name: name, Type: typeOf(of), Description: of.Description, Required: slices.Contains(s.Required, name), Value: values.Get("p." + name), Problem: refused.under("/params/" + name)}
		for _, one := range of.Enum {
			f.Enum = append(f.Enum, compact(one))
		}
		all = append(all, f)
	}
	slices.SortStableFunc(all, func(a, b paramField) int {
		switch {
		case a.Required == b.Required:
			return 0
		case a.Required:
			return -1
		}
		return 1
	})
	return all
}

func typeOf(s schema) string {
	switch t := s.Type.(type) {
	case string:
		return t
	case []any:
		for _, one := range t {
			if one != "null" {
				return text(one)
			}
		}
	}
	return ""
}

// under returns the first problem at a JSON pointer or below it.
func (p *problem) under(pointer string) string {
	if p == nil {
		return ""
	}
	for _, e := range p.Errors {
		if e.Pointer == pointer || strings.HasPrefix(e.Pointer, pointer+"/") {
			return e.Detail
		}
	}
	return ""
}

// paramsOf reads the parameters of a form. Text that is empty is left out: what has to be sent
// empty or null is written as JSON.
func paramsOf(d endpointPage, form url.Values) (map[string]any, error) {
	params := map[string]any{}
	if form.Get("view") == "json" {
		return params, decode([]byte(form.Get("text")), &params)
	}
	for _, f := range d.Fields {
		value := form.Get("p." + f.Name)
		if value == "" {
			continue
		}
		switch f.Type {
		case "string", "":
			params[f.Name] = value
		default:
			var v any
			if decode([]byte(value), &v) != nil {
				v = value // the API says what is wrong with it
			}
			params[f.Name] = v
		}
	}
	return params, nil
}
