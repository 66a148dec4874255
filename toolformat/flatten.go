package toolformat

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// combinators are keywords that no provider takes at the top of a schema.
var combinators = []string{"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "$ref", "enum", "const"}

// flatten returns a schema of an object that has no combinators at its top: it has the
// properties of all its parts, and requires what all alternatives require. The
// description lists the alternatives.
func flatten(root object) object {
	f := flattening{root: root, seen: map[uintptr]bool{}}
	flat := copyOf(root)
	for _, keyword := range combinators {
		delete(flat, keyword)
	}
	flat["type"], flat["properties"] = "object", object{}
	delete(flat, "required")
	closed := flat["additionalProperties"] == false
	parts := f.collect(root)
	merged := len(parts.properties) > len(asObject(root["properties"]))
	if closed && merged || flat["unevaluatedProperties"] != nil {
		delete(flat, "additionalProperties") // it spoke of the properties beside it
		delete(flat, "unevaluatedProperties")
	}
	properties := object{}
	for name, all := range parts.properties {
		properties[name] = combine(all)
	}
	for _, name := range parts.required {
		if properties[name] == nil {
			properties[name] = object{}
		}
	}
	flat["properties"] = properties
	if len(parts.required) > 0 {
		flat["required"] = anys(parts.required)
	}
	if text := alternativesText(parts.alternatives); text != "" {
		before, _ := flat["description"].(string)
		flat["description"] = strings.TrimSpace(before + " " + text)
	}
	return flat
}

type flattening struct {
	root  object
	seen  map[uintptr]bool // schemas on the way to this one
	count int
}

// gathered is what the parts of a schema say about the object.
type gathered struct {
	properties   map[string][]alternative
	required     []string
	alternatives [][]string // what each alternative requires
}

// alternative is a schema of a property. All in one group apply; of another group, one.
type alternative struct {
	schema object
	either bool
}

func (f *flattening) collect(s object) gathered {
	g := gathered{properties: map[string][]alternative{}}
	id := identity(s)
	if f.count++; f.seen[id] || f.count > maxNodes {
		return g
	}
	f.seen[id] = true
	defer delete(f.seen, id)
	for name, p := range asObject(s["properties"]) {
		g.properties[name] = []alternative{{schema: asObject(p)}}
	}
	g.require(names(s["required"]))
	if ref, ok := s["$ref"].(string); ok {
		g.and(f.collect(lookUp(f.root, ref)))
	}
	for _, part := range asList(s["allOf"]) {
		g.and(f.collect(asObject(part)))
	}
	for _, keyword := range []string{"anyOf", "oneOf"} {
		g.either(f.each(asList(s[keyword])), true)
	}
	g.either(f.each([]any{s["then"], s["else"]}), false)
	for _, name := range slices.Sorted(maps.Keys(asObject(s["dependentSchemas"]))) {
		g.either(f.each([]any{asObject(s["dependentSchemas"])[name]}), false)
	}
	return g
}

func (f *flattening) each(parts []any) []gathered {
	var all []gathered
	for _, part := range parts {
		if s := asObject(part); s != nil && !isNull(s) {
			all = append(all, f.collect(s))
		}
	}
	return all
}

// isNull reports whether a schema takes null alone, which arguments never are.
func isNull(s object) bool { return s["type"] == "null" }

func (g *gathered) require(all []string) {
	for _, name := range all {
		if !slices.Contains(g.required, name) {
			g.required = append(g.required, name)
		}
	}
}

// and adds what applies as well.
func (g *gathered) and(more gathered) {
	for name, all := range more.properties {
		g.properties[name] = append(g.properties[name], all...)
	}
	g.require(more.required)
	g.alternatives = append(g.alternatives, more.alternatives...)
}

// either adds what one of several parts says. What all of them require is required, when
// one of them must apply.
func (g *gathered) either(among []gathered, one bool) {
	for n, part := range among {
		for name, all := range part.properties {
			for _, a := range all {
				g.properties[name] = append(g.properties[name], alternative{a.schema, true})
			}
		}
		if !one {
			continue
		}
		g.alternatives = append(g.alternatives, part.required)
		if n == 0 {
			g.require(slices.DeleteFunc(slices.Clone(part.required), func(name string) bool {
				return slices.ContainsFunc(among, func(other gathered) bool { return !slices.Contains(other.required, name) })
			}))
		}
	}
}

// maxCombined bounds the schemas of one property. One that has more takes anything.
const maxCombined = 100

// combine returns one schema of a property that several parts have.
func combine(all []alternative) object {
	if len(all) > maxCombined {
		return object{}
	}
	var and, either []any
	for _, a := range all {
		into := &and
		if a.either {
			into = &either
		}
		if !slices.ContainsFunc(*into, func(other any) bool { return reflect.DeepEqual(other, any(a.schema)) }) {
			*into = append(*into, clone(a.schema))
		}
	}
	if len(either) == 1 {
		and, either = append(and, either...), nil
	}
	if slices.ContainsFunc(either, func(s any) bool { return len(asObject(s)) == 0 }) {
		either = nil // one takes anything
	}
	switch {
	case len(either) > 1 && len(and) == 0:
		return object{"anyOf": either}
	case len(either) > 1:
		return object{"allOf": append(and, object{"anyOf": either})}
	case len(and) == 1:
		return asObject(and[0])
	case len(and) == 0:
		return object{}
	}
	return object{"allOf": and}
}

const maxAlternatives = 8 // that a description lists

// alternativesText lists what each of several alternatives requires, "" when they require
// the same.
func alternativesText(all [][]string) string {
	var distinct []string
	for _, required := range all {
		if one := strings.Join(required, ", "); one != "" && !slices.Contains(distinct, one) {
			distinct = append(distinct, one)
		}
	}
	if len(distinct) < 2 || len(distinct) > maxAlternatives {
		return ""
	}
	return "Needs one of these sets of parameters: " + strings.Join(distinct, "; ") + "."
}

// plain drops what is only known to JSON Schema's own validators.
func plain(root object) object {
	walk(root, func(s object) { delete(s, "$comment") })
	return root
}
