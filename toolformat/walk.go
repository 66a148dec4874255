package toolformat

import (
	"maps"
	"slices"
)

// replaceParts replaces each schema directly inside s by what f returns for it. A boolean
// that says whether there may be more members or elements is none.
func replaceParts(s object, f func(part any) any) {
	for _, keyword := range schemaKeywords {
		if part, ok := s[keyword]; ok && !isSwitch(keyword, part) {
			s[keyword] = f(part)
		}
	}
	for _, keyword := range mapKeywords {
		if parts, ok := s[keyword].(object); ok {
			for _, name := range slices.Sorted(maps.Keys(parts)) {
				parts[name] = f(parts[name])
			}
		}
	}
	for _, keyword := range listKeywords {
		if parts, ok := s[keyword].([]any); ok {
			for n, part := range parts {
				parts[n] = f(part)
			}
		}
	}
}

// isSwitch reports whether a part is a boolean that every format takes.
func isSwitch(keyword string, part any) bool {
	_, is := part.(bool)
	return is && slices.Contains([]string{"additionalProperties", "unevaluatedProperties", "unevaluatedItems", "items"}, keyword)
}

// walk calls f for s and every schema inside it.
func walk(s object, f func(object)) {
	f(s)
	replaceParts(s, func(part any) any {
		if inner, ok := part.(object); ok {
			walk(inner, f)
		}
		return part
	})
}

// clone copies a schema, so that a part that occurs twice can be changed once.
func clone(v any) any {
	switch v := v.(type) {
	case object:
		copied := make(object, len(v))
		for name, member := range v {
			copied[name] = clone(member)
		}
		return copied
	case []any:
		copied := make([]any, len(v))
		for n, element := range v {
			copied[n] = clone(element)
		}
		return copied
	}
	return v
}

func copyOf(s object) object { return clone(s).(object) } //nolint:forcetypeassert // it was one

func asObject(v any) object {
	o, _ := v.(object)
	return o
}

func asList(v any) []any {
	l, _ := v.([]any)
	return l
}

// names returns the strings of a list.
func names(v any) []string {
	var all []string
	for _, element := range asList(v) {
		if s, ok := element.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

func anys(all []string) []any {
	list := make([]any, len(all))
	for n, s := range all {
		list[n] = s
	}
	return list
}
