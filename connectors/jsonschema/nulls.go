package jsonschema

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/domain"
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
	cleaned, _ := n.drop([]describing{{n.whole, true}}, params).(map[string]any)
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
const maxNullSteps = 200_000

// nulls looks for null in values by the parts of a schema.
type nulls struct {
	whole any
	left  int
}

// describing is a schema of a value: one that the value must fit, or an alternative.
type describing struct {
	schema any
	must   bool
}

func (n *nulls) drop(by []describing, v any) any {
	switch v := v.(type) {
	case map[string]any:
		parts := n.parts(by, 0)
		cleaned := make(map[string]any, len(v))
		for name, member := range v {
			described, required := propertyOf(parts, name)
			if member == nil && len(described) > 0 && !required && !n.anyAllows(described) {
				continue
			}
			cleaned[name] = n.drop(described, member)
		}
		return cleaned
	case []any:
		var items []describing
		for _, part := range n.parts(by, 0) {
			if of, _ := part.schema.(map[string]any); of["items"] != nil {
				items = append(items, describing{of["items"], part.must})
			}
		}
		cleaned := make([]any, len(v))
		for at, element := range v {
			cleaned[at] = n.drop(items, element)
		}
		return cleaned
	}
	return v
}

const maxNullDepth = 20 // of schemas that are combined

// parts returns schemas as objects, with those that their allOf, anyOf and oneOf combine.
func (n *nulls) parts(by []describing, depth int) []describing {
	var all []describing
	for _, one := range by {
		of := n.follow(one.schema)
		if of == nil || depth > maxNullDepth {
			continue
		}
		all = append(all, describing{of, one.must})
		for _, word := range []string{"allOf", "anyOf", "oneOf"} {
			some, _ := of[word].([]any)
			inner := make([]describing, len(some))
			for at, schema := range some {
				inner[at] = describing{schema, one.must && word == "allOf"}
			}
			all = append(all, n.parts(inner, depth+1)...)
		}
	}
	return all
}

// propertyOf returns the schemas of a property, and whether it is required.
func propertyOf(parts []describing, name string) (described []describing, required bool) {
	for _, part := range parts {
		of, _ := part.schema.(map[string]any)
		properties, _ := of["properties"].(map[string]any)
		if property, ok := properties[name]; ok {
			described = append(described, describing{property, part.must})
		}
		names, _ := of["required"].([]any)
		required = required || part.must && slices.Contains(names, any(name))
	}
	return described, required
}

// anyAllows reports whether null fits all schemas that a value must fit, and an alternative.
func (n *nulls) anyAllows(by []describing) bool {
	alternatives, fits := 0, 0
	for _, one := range by {
		allowed := n.allowed(one.schema)
		switch {
		case one.must && !allowed:
			return false
		case !one.must:
			alternatives++
			if allowed {
				fits++
			}
		}
	}
	return alternatives == 0 || fits > 0
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
	for token := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		v, _ = domain.PointedChild(v, token)
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
