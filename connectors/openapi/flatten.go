package openapi

import (
	"maps"
	"reflect"
	"slices"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
)

// flat are the keywords of a schema whose members can be parameters beside others.
var flat = []string{"type", "properties", "required", "additionalProperties", "title", "description", "default", "allOf", "format"}

// flattened returns a schema of an object with properties of its own, to which it adds
// those of its allOf, and whether that takes the same values.
func flattened(schema map[string]any) (map[string]any, bool) {
	for name := range schema {
		if !slices.Contains(flat, name) {
			return nil, false
		}
	}
	all, combined := schema["allOf"].([]any)
	_, has := schema["properties"]
	if !combined {
		kinds := append(texts(schema["type"]), jsonvalue.FirstString(schema["type"]))
		return schema, slices.Contains(kinds, "object") || has && schema["type"] == nil
	}
	merged := maps.Clone(schema)
	delete(merged, "allOf")
	for _, one := range all {
		part, _ := one.(map[string]any)
		if onlyRequires(part) {
			merge(merged, part)
			continue
		}
		part, ok := flattened(part)
		if !ok || part["additionalProperties"] != nil && part["additionalProperties"] != true {
			return nil, false
		}
		merge(merged, part)
	}
	return merged, true
}

// onlyRequires reports whether a part of an allOf only adds to what is required.
func onlyRequires(part map[string]any) bool {
	for name := range part {
		if name != "required" && !annotation(name) {
			return false
		}
	}
	return true
}

// merge adds the members of part to an object schema: a value must fit both.
func merge(into, part map[string]any) {
	properties, _ := into["properties"].(map[string]any)
	properties = maps.Clone(properties)
	if properties == nil {
		properties = map[string]any{}
	}
	more, _ := part["properties"].(map[string]any)
	for name, schema := range more {
		if old, both := properties[name]; both && !reflect.DeepEqual(old, schema) {
			schema = intersection(old, schema)
		}
		properties[name] = schema
	}
	into["properties"], into["type"] = properties, "object"
	required, _ := into["required"].([]any)
	added, _ := part["required"].([]any)
	if all := append(slices.Clone(required), added...); len(all) > 0 {
		into["required"] = all
	}
	if into["description"] == nil && part["description"] != nil {
		into["description"] = part["description"]
	}
}

// intersection returns a schema that takes what two schemas take.
func intersection(a, b any) any {
	first, _ := a.(map[string]any)
	second, _ := b.(map[string]any)
	out := maps.Clone(first)
	for name, v := range second {
		if old, has := out[name]; has && !annotation(name) && !reflect.DeepEqual(old, v) {
			return map[string]any{"allOf": []any{a, b}}
		}
		out[name] = v
	}
	return out
}

func without(schema map[string]any, names ...string) map[string]any {
	rest := maps.Clone(schema)
	for _, name := range names {
		delete(rest, name)
	}
	return rest
}

// combine writes the parts of an allOf into the schema around it where that takes the
// same values. A part that only describes has no rule for values.
func combine(out map[string]any) {
	all, _ := out["allOf"].([]any)
	var parts []any
	for _, one := range all {
		part, _ := one.(map[string]any)
		if about := part["description"]; about != nil && out["description"] == nil {
			out["description"] = about
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(part)), func(name string) bool { return !annotation(name) }) {
			continue
		}
		parts = append(parts, part)
	}
	if out["allOf"] = parts; len(parts) == 0 {
		delete(out, "allOf")
		return
	}
	if merged, ok := flattened(out); ok {
		delete(out, "allOf")
		maps.Copy(out, merged)
		return
	}
	if len(parts) == 1 {
		mergeOnly(out, parts[0].(map[string]any))
	}
}

// mergeOnly writes the only part of an allOf into the schema around it, unless both
// have a keyword.
func mergeOnly(out, only map[string]any) {
	for name := range only {
		if _, both := out[name]; both && !annotation(name) {
			return
		}
	}
	delete(out, "allOf")
	for name, v := range only {
		if _, both := out[name]; !both {
			out[name] = v
		}
	}
}

// alternatives makes anyOf of oneOf: alternatives of documents overlap, and models take
// anyOf only.
func alternatives(out map[string]any) {
	if one, ok := out["oneOf"]; ok && out["anyOf"] == nil {
		out["anyOf"] = one
		delete(out, "oneOf")
	}
}

func annotation(name string) bool {
	return name == "description" || name == "title" || name == "default"
}
