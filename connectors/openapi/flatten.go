package openapi

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
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
			schema = both2(old, schema)
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

// both2 returns a schema that takes what two schemas take.
func both2(a, b any) any {
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

// united returns the properties of every alternative of a form. A form has no other way
// to offer them; only what each requires is required.
func (b *builder) united(schema map[string]any) map[string]any {
	out := map[string]any{"properties": map[string]any{}}
	if own, ok := flattened(without(schema, "oneOf", "anyOf", "allOf")); ok {
		merge(out, own)
	}
	for _, keyword := range []string{"allOf", "oneOf", "anyOf"} {
		alternatives, _ := schema[keyword].([]any)
		for _, one := range alternatives {
			part, _ := one.(map[string]any)
			from, ok := flattened(part)
			if !ok {
				from = b.united(part)
			}
			properties, _ := out["properties"].(map[string]any)
			more, _ := from["properties"].(map[string]any)
			for name, property := range more {
				if old, both := properties[name]; both && !reflect.DeepEqual(old, property) {
					property = map[string]any{"anyOf": []any{old, property}}
				}
				properties[name] = property
			}
		}
	}
	b.notes.add("the alternatives of the body are offered together: a form has no other way")
	return out
}

func without(schema map[string]any, names ...string) map[string]any {
	rest := maps.Clone(schema)
	for _, name := range names {
		delete(rest, name)
	}
	return rest
}

// encoded returns how a member of a form travels by its Encoding Object, and its schema.
func (b *builder) encoded(format, name string, schema, encoding map[string]any) (domain.Parameter, map[string]any) {
	contentType := jsonvalue.FirstString(encoding["contentType"])
	if format == domain.MultipartBody {
		if separator := jsonvalue.FirstString(encoding[separated]); separator != "" {
			return domain.Parameter{}, separatedBy(separator, schema)
		}
		return domain.Parameter{}, file(schema, contentType)
	}
	if separator := jsonvalue.FirstString(encoding[separated]); separator == "\t" {
		return domain.Parameter{}, separatedBy(separator, schema)
	}
	if isFile(schema) {
		b.notes.add("%s takes a text: a form can't hold a file", quoted(name))
	}
	travels := b.style(parameter{name: name, in: domain.InBody, members: encoding})
	described := encoding["style"] != nil || encoding["explode"] != nil
	found := shapeOf(schema)
	switch {
	case found == scalar:
		return domain.Parameter{}, nil
	case kindOf(contentType) == domain.JSONBody && contentType != "" || found == nested && travels.Style != "deepObject" || found == other && !described && schema["type"] != nil:
		return domain.Parameter{Style: "json"}, nil
	case found == list && travels == (domain.Parameter{}):
		return domain.Parameter{}, nil
	case found == other && travels == (domain.Parameter{}):
		return domain.Parameter{Style: "form"}, nil
	}
	return travels, nil
}

// file returns the schema of a part whose value is a file as base64, else nil.
func file(schema map[string]any, contentType string) map[string]any {
	if items, ok := schema["items"].(map[string]any); ok && isFile(items) {
		out := maps.Clone(schema)
		out["items"] = file(items, contentType)
		return out
	}
	if !isFile(schema) {
		if contentType != "" && !strings.ContainsAny(contentType, "*,") {
			out := maps.Clone(schema)
			out["contentMediaType"] = contentType
			return out
		}
		return nil
	}
	out := without(schema, "format", "contentMediaType")
	out["type"], out["contentEncoding"] = "string", "base64"
	if kind := cmp.Or(contentType, jsonvalue.FirstString(schema["contentMediaType"])); kind != "" && !strings.ContainsAny(kind, "*,") {
		out["contentMediaType"] = kind
	}
	return out
}
