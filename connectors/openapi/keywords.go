package openapi

import (
	"encoding/json"
	"maps"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
)

// The keywords of JSON Schema 2020-12 that are kept, by what their values are. Others
// mean nothing to a validator, or belong to OpenAPI.
var (
	oneSchema = []string{"additionalProperties", "contains", "else", "if", "not", "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"}
	asList    = []string{"allOf", "anyOf", "oneOf", "prefixItems"}
	byName    = []string{"properties", "dependentSchemas"}
	counts    = []string{"maxContains", "maxItems", "maxLength", "maxProperties", "minContains", "minItems", "minLength", "minProperties"}
	numbers   = []string{"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"}
	plain     = []string{"contentEncoding", "contentMediaType", "format"}
	values    = []string{"const", "default"}
	types     = []string{"array", "boolean", "integer", "null", "number", "object", "string"}
	anchored  = []string{"$dynamicRef", "$recursiveRef"}
)

const maxPatternLength = 1000

// keyword writes one keyword of a schema, or a note when its value is none.
func (s *schemas) keyword(out map[string]any, name string, v any, p place) {
	s.left -= len(name)
	kept, ok := any(nil), true
	switch {
	case name == "title" || name == "description":
		text, _ := v.(string)
		if kept = s.text(text); kept == "" {
			return
		}
	case name == "type":
		kept, ok = schemaType(v)
	case name == "required":
		kept, ok = s.names(v)
	case name == "items":
		s.items(out, v, p)
		return
	case name == "pattern":
		kept, ok = v, compiles(v)
	case name == "patternProperties":
		kept, ok = s.named(v, p, func(pattern string) bool { return compiles(pattern) })
	case name == "enum":
		list, isList := v.([]any)
		kept, ok = v, isList && len(list) > 0
		if s.left -= size(v, s.left); s.left < 0 {
			return // too large: tried again with less
		}
	case name == "multipleOf":
		number, isNumber := v.(json.Number)
		n, err := number.Float64()
		kept, ok = v, isNumber && err == nil && n > 0
	case name == "uniqueItems":
		kept, ok = v, v == true || v == false
	case slices.Contains(values, name):
		if s.left -= size(v, s.left); s.left < 0 {
			return
		}
		kept = v
	case slices.Contains(plain, name):
		_, ok = v.(string)
		kept = v
	case slices.Contains(counts, name):
		kept, ok = v, isCount(v)
	case slices.Contains(numbers, name):
		if _, excluded := v.(bool); excluded && strings.HasPrefix(name, "exclusive") {
			return // of OpenAPI 3.0: see excludes
		}
		_, ok = v.(json.Number)
		kept = v
	case slices.Contains(oneSchema, name):
		kept = s.inner(name, v, p)
	case slices.Contains(asList, name):
		inside := place{at: p.at, depth: p.depth}
		if name == "allOf" {
			inside.hidden = p.hidden
		}
		kept, ok = s.list(v, inside)
	case slices.Contains(byName, name):
		kept, ok = s.named(v, p, nil)
	case name == "dependentRequired":
		kept, ok = dependencies(v)
	case slices.Contains(anchored, name):
		ok = false
	default:
		return
	}
	if !ok {
		s.notes.add("%s of %s is left out: %s", name, p.at, unusable(name, v))
		return
	}
	out[name] = kept
}

func unusable(name string, v any) string {
	switch text, _ := v.(string); {
	case (name == "pattern" || name == "patternProperties") && text != "":
		return "the pattern " + quoted(text) + " can't be checked here"
	case slices.Contains(anchored, name):
		return "its reference can't be followed"
	case name == "type":
		return "there is no such type"
	}
	return "it is not what JSON Schema defines"
}

// inner returns a schema, or a boolean where that is usual.
func (s *schemas) inner(name string, v any, p place) any {
	if is, ok := v.(bool); ok && (strings.HasPrefix(name, "additional") || strings.HasPrefix(name, "unevaluated")) {
		return is
	}
	return s.schema(v, p.deeper(p.at))
}

func (s *schemas) items(out map[string]any, v any, p place) {
	if tuple, ok := v.([]any); ok { // of earlier drafts
		if len(tuple) > 0 {
			out["prefixItems"], _ = s.list(tuple, p)
		}
		return
	}
	out["items"] = s.schema(v, p.deeper(p.at))
}

func (s *schemas) list(v any, p place) (any, bool) {
	given, ok := v.([]any)
	if !ok || len(given) == 0 {
		return nil, false
	}
	all := make([]any, len(given))
	for n, one := range given {
		if s.left < 0 {
			return all[:max(n, 1)], true // too large: tried again with less
		}
		all[n] = s.schema(one, place{p.at, p.depth + 1, p.hidden})
	}
	return all, true
}

// named returns schemas by name. accepts, where it is given, decides which names count.
func (s *schemas) named(v any, p place, accepts func(string) bool) (any, bool) {
	given, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	if s.left -= 4 * len(given); s.left < 0 {
		return map[string]any{}, true // too large: tried again with less
	}
	all := make(map[string]any, len(given))
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if s.left -= len(name); s.left < 0 {
			break
		}
		if accepts != nil && !accepts(name) {
			s.notes.add("a pattern of %s is left out: %s", p.at, unusable("pattern", name))
			continue
		}
		all[name] = s.schema(given[name], p.deeper(pointerTo(p.at, name)))
	}
	return all, true
}

func (s *schemas) names(v any) (any, bool) {
	given, ok := v.([]any)
	if !ok {
		return nil, false
	}
	var all []any
	for _, one := range given {
		if name, isText := one.(string); isText && !slices.Contains(all, any(name)) && len(all) < 1000 {
			s.left -= len(name) + 3
			all = append(all, name)
		}
	}
	if len(all) == 0 {
		return []any{}, true
	}
	return all, true
}

func dependencies(v any) (any, bool) {
	given, ok := v.(map[string]any)
	for _, one := range given {
		list, isList := one.([]any)
		if !isList || len(texts(list)) != len(list) {
			return nil, false
		}
	}
	return v, ok
}

// schemaType returns the type of a schema, one or several.
func schemaType(v any) (any, bool) {
	switch v := v.(type) {
	case string:
		return v, slices.Contains(types, v) || v == "file"
	case []any:
		var all []any
		for _, one := range v {
			if kind, ok := one.(string); ok && slices.Contains(types, kind) && !slices.Contains(all, one) {
				all = append(all, one)
			}
		}
		return all, len(all) == len(v) && len(all) > 0
	}
	return nil, false
}

// compiles reports whether a pattern can be checked, which those of ECMA-262 can't be
// that look ahead or back.
func compiles(v any) bool {
	pattern, ok := v.(string)
	if !ok || len(pattern) > maxPatternLength {
		return false
	}
	_, err := syntax.Parse(pattern, syntax.Perl)
	return err == nil
}

func isCount(v any) bool {
	number, ok := v.(json.Number)
	if !ok {
		return false
	}
	n, err := strconv.ParseFloat(string(number), 64)
	return err == nil && n >= 0 && n == float64(int64(n))
}

// size is about how many bytes a value has as JSON. It looks at no more than left bytes.
func size(v any, left int) int {
	n := 2
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			if n += size(one, left-n); n > left {
				break
			}
		}
		return n
	case map[string]any:
		for name, one := range v {
			if n += len(name) + 4 + size(one, left-n); n > left {
				break
			}
		}
		return n
	}
	text, _ := jsonvalue.Scalar(v)
	return len(text) + 5
}
