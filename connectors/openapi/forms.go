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
	if only, ok := exceptNull(schema); ok {
		if made := file(only, contentType); made != nil && (made["contentEncoding"] != nil || made["items"] != nil) {
			made["type"] = []any{made["type"], "null"}
			return made
		}
	}
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

// exceptNull returns what a schema takes besides null, such as anyOf of a file and null,
// and whether that is one schema.
func exceptNull(schema map[string]any) (map[string]any, bool) {
	if kinds, ok := schema["type"].([]any); ok {
		rest := slices.DeleteFunc(slices.Clone(kinds), func(kind any) bool { return kind == "null" })
		if len(rest) != 1 || len(rest) == len(kinds) {
			return nil, false
		}
		only := maps.Clone(schema)
		only["type"] = rest[0]
		return only, true
	}
	some, _ := schema["anyOf"].([]any)
	rest := slices.DeleteFunc(slices.Clone(some), func(one any) bool { return reflect.DeepEqual(one, map[string]any{"type": "null"}) })
	if len(rest) != 1 || len(rest) == len(some) {
		return nil, false
	}
	only, ok := rest[0].(map[string]any)
	if !ok {
		return nil, false
	}
	only = maps.Clone(only)
	maps.Copy(only, without(schema, "anyOf"))
	return only, true
}

// isFile reports whether a schema is that of bytes.
func isFile(schema map[string]any) bool {
	kind := schema["type"]
	return (kind == "string" || kind == nil) && (schema["format"] == "binary" || schema["contentMediaType"] != nil && schema["contentEncoding"] == nil) || kind == "file"
}
