package jsonschema

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// WithoutNulls returns params without the null members that a schema neither requires
// nor lets be null: callers that fill in every optional parameter mean that they are
// absent. Numbers stay as they are written.
func WithoutNulls(schema []byte, params map[string]any) map[string]any {
	if !hasNull(params) {
		return params
	}
	n := nulls{left: maxNullSteps}
	decoder := json.NewDecoder(bytes.NewReader(schema))
	decoder.UseNumber()
	if decoder.Decode(&n.whole) != nil {
		return params
	}
	cleaned, _ := n.drop(n.whole, params).(map[string]any)
	return cleaned
}

// hasNull reports whether a null is anywhere in v.
func hasNull(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		for _, member := range v {
			if hasNull(member) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, hasNull)
	}
	return false
}

// maxNullSteps bounds how many schemas are looked at. What is beyond stays as it is.
const maxNullSteps = 20_000

// nulls looks for null in values by the parts of a schema.
type nulls struct {
	whole any
	left  int
}

func (n *nulls) drop(schema, v any) any {
	of := n.follow(schema)
	if of == nil {
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		properties, _ := of["properties"].(map[string]any)
		required, _ := of["required"].([]any)
		cleaned := make(map[string]any, len(v))
		for name, member := range v {
			property, described := properties[name]
			if member == nil && described && !slices.Contains(required, any(name)) && !n.allowed(property) {
				continue
			}
			cleaned[name] = n.drop(property, member)
		}
		return cleaned
	case []any:
		cleaned := make([]any, len(v))
		for at, element := range v {
			cleaned[at] = n.drop(of["items"], element)
		}
		return cleaned
	}
	return v
}

// follow returns a schema that is an object, or the one that it refers to.
func (n *nulls) follow(schema any) map[string]any {
	for ; n.left > 0; n.left-- {
		of, _ := schema.(map[string]any)
		ref, ok := of["$ref"].(string)
		if !ok {
			n.left--
			return of
		}
		schema = n.at(ref)
	}
	return nil
}

// at returns the part of the schema that a reference inside it leads to, else nil.
func (n *nulls) at(ref string) any {
	path, inside := strings.CutPrefix(ref, "#")
	if !inside {
		return nil
	}
	v := n.whole
	if path == "" {
		return v
	}
	for step := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		switch at := v.(type) {
		case map[string]any:
			v = at[strings.NewReplacer("~1", "/", "~0", "~").Replace(step)]
		case []any:
			index, err := strconv.Atoi(step)
			if err != nil || index < 0 || index >= len(at) {
				return nil
			}
			v = at[index]
		}
	}
	return v
}

// allowed reports whether null fits a schema, as far as its types and values show.
func (n *nulls) allowed(schema any) bool {
	of := n.follow(schema)
	if of == nil {
		return true
	}
	if kind, given := of["type"]; given {
		among, _ := kind.([]any)
		if kind != "null" && !slices.Contains(among, any("null")) {
			return false
		}
	}
	if values, given := of["enum"].([]any); given && !slices.Contains(values, nil) {
		return false
	}
	if value, given := of["const"]; given && value != nil {
		return false
	}
	for _, word := range []string{"anyOf", "oneOf"} {
		if some, given := of[word].([]any); given && !slices.ContainsFunc(some, n.allowed) {
			return false
		}
	}
	all, _ := of["allOf"].([]any)
	return !slices.ContainsFunc(all, func(s any) bool { return !n.allowed(s) })
}
