package toolformat

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

// geminiTool returns a FunctionDeclaration of the Gemini API, whose Schema is a subset of
// that of OpenAPI 3.0: no references, no combinators but anyOf, one type.
func geminiTool(t domain.Tool, root object) (map[string]any, error) {
	declaration := map[string]any{"name": GeminiName(t.Name), "description": t.Description}
	if len(GeminiName(t.Name)) > maxKey {
		return nil, errors.New("Its name is too long for Gemini, where a name begins with a letter or an underscore.") //nolint:staticcheck // a sentence for a person
	}
	k := keysOf(root)
	flat := plain(flatten(root))
	rename(flat, k, geminiKey)
	if len(asObject(flat["properties"])) == 0 {
		return declaration, nil // an object without properties is refused
	}
	c := &geminiConversion{root: flat, open: map[string]bool{}}
	parameters := c.schema(flat)
	if c.nodes > maxGeminiNodes {
		return nil, errTooLarge
	}
	declaration["parameters"] = parameters
	return declaration, nil
}

// GeminiName returns the name of a tool as Gemini takes it: it begins with a letter or an
// underscore. ToolName is the reverse.
func GeminiName(tool string) string {
	if tool != "" && tool[0] >= '0' && tool[0] <= '9' {
		return "_" + tool
	}
	return tool
}

// ToolName returns the name of a tool that a model called by any format's name.
func ToolName(called string) string {
	if len(called) > 1 && called[0] == '_' && called[1] >= '0' && called[1] <= '9' {
		return called[1:]
	}
	return called
}

const maxGeminiNodes = 4000 // after references are replaced

type geminiConversion struct {
	root  object
	open  map[string]bool // references that are being replaced
	nodes int
}

// geminiKeywords are kept as they are, for the types that they speak of.
var geminiKeywords = map[string][]string{
	"string":  {"minLength", "maxLength", "pattern"},
	"number":  {"minimum", "maximum"},
	"integer": {"minimum", "maximum"},
	"array":   {"minItems", "maxItems"},
	"object":  {"minProperties", "maxProperties"},
}

var geminiFormats = map[string][]string{"string": {"date-time"}, "number": {"float", "double"}, "integer": {"int32", "int64"}}

func (c *geminiConversion) schema(s object) object {
	if c.nodes++; c.nodes > maxGeminiNodes {
		return object{"type": "STRING"} // it is refused
	}
	if ref, ok := s["$ref"].(string); ok {
		return c.reference(ref, s)
	}
	if asList(s["allOf"]) != nil {
		merged, ok := mergeAll(c.root, s)
		if !ok { // the first part that says more: a call is validated by the whole
			merged = copyOf(s)
			delete(merged, "allOf")
			for _, part := range asList(s["allOf"]) {
				for name, value := range asObject(part) {
					if _, taken := merged[name]; !taken {
						merged[name] = clone(value)
					}
				}
			}
			delete(merged, "allOf")
		}
		return c.schema(merged)
	}
	for _, keyword := range []string{"anyOf", "oneOf"} {
		if parts := asList(s[keyword]); parts != nil {
			return c.alternatives(s, parts)
		}
	}
	types := typesOf(s["type"])
	if len(types) == 0 {
		types = c.inferred(s)
	}
	null := slices.Contains(types, "null")
	types = slices.DeleteFunc(slices.Clone(types), func(kind string) bool { return kind == "null" })
	var converted object
	switch len(types) {
	case 0:
		converted = object{"type": "STRING"}
	case 1:
		converted = c.typed(s, types[0])
	default:
		var among []any
		for _, kind := range types {
			among = append(among, c.typed(s, kind))
		}
		converted = object{"anyOf": among}
	}
	return withNull(converted, null)
}

// withNull marks a converted schema as one that takes null. Beside anyOf nothing may stand.
func withNull(converted object, null bool) object {
	if !null {
		return converted
	}
	if among := asList(converted["anyOf"]); among != nil {
		for _, part := range among {
			asObject(part)["nullable"] = true
		}
		return converted
	}
	converted["nullable"] = true
	return converted
}

// inferred returns the types of a schema that names none.
func (c *geminiConversion) inferred(s object) []string {
	values := asList(s["enum"])
	if value, ok := s["const"]; ok {
		values = []any{value}
	}
	var types []string
	for _, value := range values {
		kind := typeOfValue(value)
		if kind == "" {
			kind = "object"
			if asList(value) != nil {
				kind = "array"
			}
		}
		if !slices.Contains(types, kind) {
			types = append(types, kind)
		}
	}
	if len(types) == 0 {
		types = impliedTypes(s)
	}
	if len(types) == 0 {
		types = []string{"string", "number", "boolean"} // anything
	}
	return types
}

func (c *geminiConversion) reference(ref string, s object) object {
	if c.open[ref] {
		return object{"type": "OBJECT"} // it goes on in itself
	}
	c.open[ref] = true
	defer delete(c.open, ref)
	target := copyOf(lookUp(c.root, ref))
	for name, value := range s {
		if _, taken := target[name]; name != "$ref" && (!taken || name == "description") {
			target[name] = value
		}
	}
	if ref == "#" {
		delete(target, "$defs")
	}
	return c.schema(target)
}

func (c *geminiConversion) alternatives(s object, parts []any) object {
	var among []any
	null := false
	for _, part := range parts {
		if c.nodes > maxGeminiNodes {
			break // it is refused
		}
		one := copyOf(asObject(part))
		if isNull(one) || isNullOnly(one) {
			null = true
			continue
		}
		for name, value := range s { // what is beside applies to each
			if _, own := one[name]; !own && name != "anyOf" && name != "oneOf" && name != "$defs" {
				one[name] = clone(value)
			}
		}
		converted := c.schema(one)
		if nested := asList(converted["anyOf"]); nested != nil {
			among = append(among, nested...)
			continue
		}
		among = append(among, converted)
	}
	switch len(among) {
	case 0:
		return object{"type": "STRING", "nullable": true}
	case 1:
		return withNull(asObject(among[0]), null)
	}
	return withNull(object{"anyOf": among}, null)
}

func isNullOnly(s object) bool {
	values := asList(s["enum"])
	value, isConst := s["const"]
	return len(values) == 1 && values[0] == nil || isConst && value == nil
}

// typed converts a schema of one type.
func (c *geminiConversion) typed(s object, kind string) object {
	converted := object{"type": strings.ToUpper(kind)}
	for _, keyword := range slices.Concat([]string{"title", "description"}, geminiKeywords[kind]) {
		if value, ok := s[keyword]; ok {
			converted[keyword] = value
		}
	}
	if format, ok := s["format"].(string); ok && slices.Contains(geminiFormats[kind], format) {
		converted["format"] = format
	}
	c.values(s, kind, converted)
	switch kind {
	case "array":
		items := asObject(s["items"])
		if tuple := asList(s["prefixItems"]); tuple != nil {
			items = object{"anyOf": tuple}
		}
		if items == nil {
			items = object{}
		}
		converted["items"] = c.schema(items)
	case "object":
		properties := asObject(s["properties"])
		if len(properties) == 0 {
			break
		}
		inside := object{}
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			inside[name] = c.schema(asObject(properties[name]))
		}
		converted["properties"] = inside
		required := slices.DeleteFunc(names(s["required"]), func(name string) bool { return inside[name] == nil })
		if len(required) > 0 {
			converted["required"] = anys(required)
		}
	}
	return converted
}

// values adds the values that a schema lists: as an enum for strings, which alone may have
// one, else in the description.
func (c *geminiConversion) values(s object, kind string, converted object) {
	list := asList(s["enum"])
	if value, ok := s["const"]; ok {
		list = []any{value}
	}
	var values []any
	var shown []string
	for _, value := range list {
		if typeOfValue(value) == kind || kind == "number" && typeOfValue(value) == "integer" {
			values = append(values, value)
			shown = append(shown, fmt.Sprint(value))
		}
	}
	if len(values) == 0 {
		return
	}
	if kind == "string" && !slices.Contains(values, any("")) {
		converted["enum"] = values
		delete(converted, "format")
		return
	}
	before, _ := converted["description"].(string)
	converted["description"] = strings.TrimSpace(before + " One of: " + strings.Join(shown, ", ") + ".")
}
