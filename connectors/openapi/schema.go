package openapi

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

// detail is how much of a schema is kept.
type detail struct {
	depth int // of schemas inside each other; a deeper one keeps its type only
	text  int // characters of a description
}

// details are tried until an offer is small enough.
var details = []detail{{40, maxDescription}, {40, 200}, {8, 100}, {5, 60}, {4, 0}, {3, 0}, {2, 0}, {1, 0}, {0, 0}}

// schemas rewrites the schemas of a document as JSON Schema 2020-12 with references
// written out. What it can't keep it drops with a note.
type schemas struct {
	ctx      context.Context
	document *Document
	detail   detail
	request  bool     // members that are readOnly are left out
	left     int      // bytes that may still be written
	looked   int      // schemas that were searched for readOnly properties
	within   []string // references that are being written out
	notes    *notes
}

// place is where a schema stands.
type place struct {
	at     string // for a note
	depth  int    // of schemas inside each other
	hidden []string
}

func (p place) deeper(at string) place { return place{at: at, depth: p.depth + 1} }

// schema returns a schema that takes what v takes, or more. It is never shared.
func (s *schemas) schema(v any, p place) map[string]any {
	members, isObject := v.(map[string]any)
	if s.left -= 4 + 4*len(members); s.ctx.Err() != nil {
		s.left = -1
	}
	switch {
	case v == false:
		return map[string]any{"not": map[string]any{}}
	case v == nil || v == true || s.left < 0:
		return map[string]any{}
	case !isObject:
		s.notes.add("%s takes anything: its schema is not an object", p.at)
		return map[string]any{}
	}
	if ref, ok := members["$ref"].(string); ok {
		return s.reference(ref, members, p)
	}
	if p.depth > s.detail.depth {
		s.notes.add("schemas deeper than %d levels are simplified: the whole is too large", s.detail.depth)
		return s.outline(members)
	}
	if members["allOf"] != nil && s.request {
		p.hidden = append(slices.Clone(p.hidden), s.readOnlyNames(members, 0)...)
	}
	out := make(map[string]any, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		s.keyword(out, name, members[name], p)
	}
	s.convert(out, members)
	s.freeReadOnly(out, members, p.hidden)
	return out
}

// reference writes out what a reference leads to. One that leads to itself ends.
func (s *schemas) reference(ref string, beside map[string]any, p place) map[string]any {
	target, problem := s.document.lookUp(ref)
	if problem != "" {
		s.notes.add("%s takes anything: it refers to %s, which %s", p.at, quoted(ref), problem)
		return s.describe(map[string]any{}, beside)
	}
	members, _ := target.(map[string]any)
	if slices.Contains(s.within, ref) || len(s.within) > maxReferences {
		s.notes.add("%s is cut where it refers to itself", p.at)
		return s.describe(s.outline(members), beside)
	}
	s.within = append(s.within, ref)
	out := s.schema(target, p)
	s.within = s.within[:len(s.within)-1]
	rest := maps.Clone(beside)
	delete(rest, "$ref")
	out = s.describe(out, rest)
	if !s.document.draft { // before 3.1 nothing else counts beside a reference
		if beside["nullable"] == true || beside["x-nullable"] == true {
			orNull(out)
		}
		return out
	}
	more := s.schema(rest, p)
	for name, v := range more {
		if _, both := out[name]; both && name != "description" && name != "title" && name != "default" {
			return map[string]any{"allOf": []any{out, more}}
		}
		out[name] = v
	}
	return out
}

// describe gives a schema the description that stands beside a reference to it.
func (s *schemas) describe(out, beside map[string]any) map[string]any {
	if about := s.text(jsonvalue.FirstString(beside["description"])); about != "" {
		out["description"] = about
	}
	return out
}

func (s *schemas) text(about string) string {
	about = shorten(about, max(s.detail.text, 1))
	if s.detail.text == 0 || about == "…" {
		return ""
	}
	s.left -= len(about) + 20
	return about
}

// outline returns the type and the description of a schema, and the types of what it
// requires.
func (s *schemas) outline(members map[string]any) map[string]any {
	out := s.kept(members, "type", "description")
	properties, _ := members["properties"].(map[string]any)
	outlined, required := map[string]any{}, []any{}
	for _, name := range texts(members["required"]) {
		if property := s.document.object(properties[name]); property != nil && property["readOnly"] != true && s.left > 0 {
			outlined[name] = s.kept(property, "type", "enum")
			required = append(required, name)
			s.left -= 2 * len(name)
		}
	}
	if len(required) > 0 {
		out["properties"], out["required"] = outlined, required
	}
	if _, has := members["properties"].(map[string]any); has && out["type"] == nil {
		out["type"] = "object"
	}
	nullable(out, members)
	if out["type"] == "array" {
		out["items"] = map[string]any{}
	}
	return out
}

// kept returns these keywords of a schema only.
func (s *schemas) kept(members map[string]any, names ...string) map[string]any {
	out := map[string]any{}
	for _, name := range names {
		if members[name] != nil {
			s.keyword(out, name, members[name], place{})
		}
	}
	enumAsTyped(out)
	nullable(out, members)
	return out
}

// convert makes 2020-12 of what earlier versions have.
func (s *schemas) convert(out, members map[string]any) {
	excludes(out, members, "minimum", "exclusiveMinimum")
	excludes(out, members, "maximum", "exclusiveMaximum")
	enumAsTyped(out)
	nullable(out, members)
	if out["type"] == "array" && out["items"] == nil && out["prefixItems"] == nil {
		out["items"] = map[string]any{}
	}
	if members["type"] == "file" {
		out["type"], out["format"] = "string", "binary"
	}
	alternatives(out)
	if out["allOf"] != nil {
		combine(out)
	}
	if members["nullable"] == true || members["x-nullable"] == true {
		orNull(out)
	}
}

// nullable adds null to the type and to the enum of a schema that allows it.
func nullable(out, members map[string]any) {
	if members["nullable"] != true && members["x-nullable"] != true {
		return
	}
	switch kind := out["type"].(type) {
	case string:
		if kind != "null" {
			out["type"] = []any{kind, "null"}
		}
	case []any:
		if !slices.Contains(kind, any("null")) {
			out["type"] = append(slices.Clone(kind), "null")
		}
	}
	if values, ok := out["enum"].([]any); ok && !slices.Contains(values, nil) {
		out["enum"] = append(slices.Clone(values), nil)
	}
}

// orNull lets a schema be null whose allOf, anyOf or reference would not be. OpenAPI 3.0
// leaves nullable beside those undefined, and documents use it.
func orNull(out map[string]any) {
	nullable(out, map[string]any{"nullable": true})
	some, _ := out["anyOf"].([]any)
	switch {
	case out["allOf"] != nil || out["not"] != nil || out["const"] != nil:
		inner := maps.Clone(out)
		clear(out)
		if about := inner["description"]; about != nil {
			out["description"] = about
			delete(inner, "description")
		}
		out["anyOf"] = []any{inner, map[string]any{"type": "null"}}
	case len(some) > 0 && !slices.ContainsFunc(some, takesNull):
		out["anyOf"] = append(slices.Clone(some), map[string]any{"type": "null"})
	}
}

// takesNull reports whether null is among the types of a schema.
func takesNull(schema any) bool {
	members, _ := schema.(map[string]any)
	kinds, _ := members["type"].([]any)
	return members["type"] == "null" || slices.Contains(kinds, any("null"))
}

// excludes makes a number of a limit that OpenAPI 3.0 excludes by true.
func excludes(out, members map[string]any, limit, exclusive string) {
	if n, limited := out[limit]; limited && members[exclusive] == true {
		out[exclusive] = n
		delete(out, limit)
	}
}

// enumAsTyped writes the values of an enum as its type has them: documents write "1" for
// a number, and YAML reads texts as numbers, booleans or dates.
func enumAsTyped(out map[string]any) {
	values, ok := out["enum"].([]any)
	kind, _ := out["type"].(string)
	if !ok {
		return
	}
	as := make([]any, len(values))
	for n, v := range values {
		as[n] = asType(kind, v)
	}
	out["enum"] = as
}

// asType returns a scalar as a type has it where that has the same text.
func asType(kind string, v any) any {
	text, scalar := jsonvalue.Scalar(v)
	switch _, isText := v.(string); {
	case scalar && kind == "string":
		return text
	case isText && kind == "boolean" && (text == "true" || text == "false"):
		return text == "true"
	case isText && (kind == "integer" || kind == "number"):
		if number, ok := jsonvalue.Decode([]byte(text)); ok {
			if _, ok = number.(json.Number); ok {
				return number
			}
		}
	}
	return v
}

// pointerTo returns the place of a member for a note.
func pointerTo(at, name string) string { return at + "/" + domain.EscapePointer(cmp.Or(name, `""`)) }
