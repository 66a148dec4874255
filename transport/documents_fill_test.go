package transport_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp/syntax"
	"slices"
	"strings"
)

// fill returns a value that fits a schema, with every property.
func fill(v any, depth int) any {
	schema, _ := v.(map[string]any)
	if fixed, ok := schema["const"]; ok {
		return fixed
	}
	if values, ok := schema["enum"].([]any); ok && len(values) > 0 {
		return values[0]
	}
	for _, keyword := range []string{"oneOf", "anyOf"} {
		if alternatives, ok := schema[keyword].([]any); ok && len(alternatives) > 0 {
			return combined(schema, fill(alternatives[0], depth), depth)
		}
	}
	if parts, ok := schema["allOf"].([]any); ok {
		whole := any(nil)
		for _, part := range parts {
			whole = merged(whole, fill(part, depth))
		}
		return combined(schema, whole, depth)
	}
	kind, _ := schema["type"].(string)
	if kinds, ok := schema["type"].([]any); ok {
		for _, one := range kinds {
			if one != "null" {
				kind = one.(string)
				break
			}
		}
	}
	switch kind {
	case "object", "":
		if kind == "" && schema["properties"] == nil {
			if schema["items"] != nil {
				return fillArray(schema, depth)
			}
			if kind == "" && schema["pattern"] == nil && schema["format"] == nil && schema["minLength"] == nil {
				return "a"
			}
			return fillString(schema)
		}
		return fillObject(schema, depth)
	case "array":
		return fillArray(schema, depth)
	case "string":
		return fillString(schema)
	case "boolean":
		return true
	case "integer", "number":
		return fillNumber(schema, kind)
	}
	return nil
}

// combined adds the properties beside alternatives.
func combined(schema map[string]any, v any, depth int) any {
	if schema["properties"] == nil {
		return v
	}
	return merged(fillObject(schema, depth), v)
}

func merged(a, b any) any {
	first, ok := a.(map[string]any)
	second, both := b.(map[string]any)
	if !ok || !both {
		return b
	}
	whole := maps.Clone(first)
	for name, v := range second {
		whole[name] = merged(whole[name], v)
	}
	return whole
}

func fillObject(schema map[string]any, depth int) any {
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	whole := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if depth < 8 || slices.Contains(required, any(name)) {
			whole[name] = fill(properties[name], depth+1)
		}
	}
	for _, one := range required {
		if name := one.(string); whole[name] == nil {
			whole[name] = fill(properties[name], depth+1)
		}
	}
	return whole
}

func fillArray(schema map[string]any, depth int) any {
	least := max(2, whole(schema["minItems"])) // Prism takes one member of a form for a text
	if schema["maxItems"] != nil {
		least = min(least, whole(schema["maxItems"]))
	}
	if schema["uniqueItems"] == true {
		least = max(1, whole(schema["minItems"]))
	}
	all := []any{}
	for n := range least {
		element := fill(schema["items"], depth+1)
		if text, ok := element.(string); ok && n > 0 && schema["uniqueItems"] == true {
			items, _ := schema["items"].(map[string]any)
			if values, ok := items["enum"].([]any); ok {
				element = values[min(n, len(values)-1)]
			} else {
				element = fmt.Sprint(text, n)
			}
		}
		all = append(all, element)
	}
	return all
}

func whole(v any) int {
	number, _ := v.(json.Number)
	f, _ := number.Float64()
	return int(f)
}

func fillNumber(schema map[string]any, kind string) any {
	least, most := schema["minimum"], schema["maximum"]
	value := 1.0
	if n, ok := most.(json.Number); ok {
		value, _ = n.Float64()
		value = min(value, 1)
	}
	if n, ok := least.(json.Number); ok {
		low, _ := n.Float64()
		value = max(value, low)
	}
	if n, ok := schema["exclusiveMinimum"].(json.Number); ok {
		low, _ := n.Float64()
		value = max(value, low+1)
	}
	if n, ok := schema["multipleOf"].(json.Number); ok {
		step, _ := n.Float64()
		value = max(value, step)
	}
	if kind == "integer" {
		return int64(value)
	}
	return value
}

var formats = map[string]string{
	"date": "2024-05-06", "date-time": "2024-05-06T07:08:09Z", "time": "07:08:09Z", "email": "a@example.com", "idn-email": "a@example.com", "uuid": "123e4567-e89b-42d3-a456-426614174000",
	"uri": "https://a.example/b", "url": "https://a.example/b", "uri-reference": "/b", "iri": "https://a.example/b", "ipv4": "192.0.2.1", "ip": "192.0.2.1", "ipv6": "2001:db8::1", "hostname": "a.example", "byte": "YQ==", "binary": "YQ==",
	"json-pointer": "/a", "duration": "P1D", "uri-template": "/{a}", "regex": "a",
}

func fillString(schema map[string]any) any {
	if schema["contentEncoding"] == "base64" {
		return "YQ=="
	}
	if pattern, ok := schema["pattern"].(string); ok {
		if parsed, err := syntax.Parse(pattern, syntax.Perl); err == nil {
			made := sample(parsed)
			for len(made) < whole(schema["minLength"]) {
				made += "a"
			}
			return made
		}
	}
	format, _ := schema["format"].(string)
	text := formats[format]
	if text == "" {
		text = "a"
	}
	if least := whole(schema["minLength"]); len(text) < least {
		text += strings.Repeat("a", least-len(text))
	}
	if schema["maxLength"] != nil && len(text) > whole(schema["maxLength"]) {
		text = text[:whole(schema["maxLength"])]
	}
	return text
}

// sample returns a text that a regular expression matches.
func sample(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		for _, wanted := range "a1A" {
			for n := 0; n+1 < len(re.Rune); n += 2 {
				if re.Rune[n] <= wanted && wanted <= re.Rune[n+1] {
					return string(wanted)
				}
			}
		}
		return string(re.Rune[:1])
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "a"
	case syntax.OpConcat:
		var b strings.Builder
		for _, sub := range re.Sub {
			b.WriteString(sample(sub))
		}
		return b.String()
	case syntax.OpAlternate, syntax.OpCapture, syntax.OpPlus:
		return sample(re.Sub[0])
	case syntax.OpRepeat:
		return strings.Repeat(sample(re.Sub[0]), max(re.Min, 1))
	case syntax.OpStar, syntax.OpQuest:
		return sample(re.Sub[0])
	default:
		return ""
	}
}
