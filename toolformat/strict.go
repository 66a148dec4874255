package toolformat

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The bounds of a schema of OpenAI's structured outputs.
const (
	maxStrictDepth      = 10
	maxStrictProperties = 5000
	maxStrictEnums      = 1000
	maxStrictCharacters = 120_000 // of names and enum values
)

// strictKeywords are those that structured outputs know, besides those that have rules of
// their own here.
var strictKeywords = []string{
	"description", "pattern", "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems",
}

var strictFormats = []string{"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}

// strict returns a schema by the rules of OpenAI's structured outputs: every object is
// closed and requires all it has, what was optional takes null, and there are only the
// keywords that are known. What takes arbitrary members or values can't be expressed.
func strict(flat object) (object, error) {
	c := &strictConversion{root: flat, defs: object{}}
	converted, err := c.members(flat, "", 1)
	if err != nil {
		return nil, err
	}
	if text := flat["description"]; text != nil {
		converted["description"] = text
	}
	if len(c.defs) > 0 {
		converted["$defs"] = c.defs
	}
	if c.properties > maxStrictProperties || c.enums > maxStrictEnums || c.characters > maxStrictCharacters {
		return nil, fmt.Errorf( //nolint:staticcheck // a sentence for a person
			"Its input_schema has more than the %d properties, %d enum values or %d characters of names that a strict tool may have.",
			maxStrictProperties, maxStrictEnums, maxStrictCharacters)
	}
	return converted, nil
}

type strictConversion struct {
	root                          object
	defs                          object // that were converted; nil while they are
	properties, enums, characters int
	nodes                         int
}

// inexpressible returns the error of a part of the schema.
func inexpressible(at, what string) error {
	return fmt.Errorf("%s %s, which a strict tool can't express; ask for it without strict.", cmpAt(at), what) //nolint:staticcheck // a sentence for a person
}

func cmpAt(at string) string {
	if at == "" {
		return "Its input_schema"
	}
	return "Its parameter " + at
}

func (c *strictConversion) schema(s object, at string, depth int) (object, error) {
	if c.nodes++; c.nodes > maxNodes {
		return nil, errTooLarge
	}
	if depth > maxStrictDepth {
		return nil, inexpressible(at, fmt.Sprintf("is nested in more than %d levels", maxStrictDepth))
	}
	if ref, ok := s["$ref"].(string); ok {
		return c.reference(ref, at, depth)
	}
	if all := asList(s["allOf"]); all != nil {
		merged, ok := mergeAll(c.root, s)
		if !ok {
			return nil, inexpressible(at, "combines schemas with allOf")
		}
		return c.schema(merged, at, depth)
	}
	for _, keyword := range []string{"anyOf", "oneOf"} {
		if parts := asList(s[keyword]); parts != nil {
			return c.alternatives(s, parts, at, depth)
		}
	}
	if _, isConst := s["const"]; isConst || s["enum"] != nil {
		return c.values(s, at)
	}
	types := typesOf(s["type"])
	if len(types) == 0 {
		types = impliedTypes(s)
	}
	switch {
	case len(types) == 0:
		return nil, inexpressible(at, "takes any value")
	case len(types) == 1:
		return c.typed(s, types[0], at, depth)
	}
	return c.severalTypes(s, types, at, depth)
}

func (c *strictConversion) reference(ref, at string, depth int) (object, error) {
	if ref == "#" {
		return object{"$ref": ref}, nil
	}
	name := strings.TrimPrefix(ref, "#/$defs/")
	if _, known := c.defs[name]; !known {
		c.defs[name] = nil
		converted, err := c.schema(lookUp(c.root, ref), at, depth)
		if err != nil {
			return nil, err
		}
		c.defs[name] = converted
	}
	return object{"$ref": ref}, nil
}

func (c *strictConversion) alternatives(s object, parts []any, at string, depth int) (object, error) {
	var among []any
	for _, part := range parts {
		one := copyOf(asObject(part))
		if one["$ref"] == nil {
			for name, value := range s { // what is beside applies to each
				if _, own := one[name]; !own && name != "anyOf" && name != "oneOf" && name != "description" {
					one[name] = clone(value)
				}
			}
		}
		converted, err := c.schema(one, at, depth)
		if err != nil {
			return nil, err
		}
		if nested := asList(converted["anyOf"]); nested != nil {
			among = append(among, nested...)
			continue
		}
		among = append(among, converted)
	}
	result := object{"anyOf": among}
	if text := s["description"]; text != nil {
		result["description"] = text
	}
	return result, nil
}

// values returns a schema of listed values, which have to be plain ones.
func (c *strictConversion) values(s object, at string) (object, error) {
	list := asList(s["enum"])
	if value, ok := s["const"]; ok {
		list = []any{value}
	}
	var types []string
	for _, value := range list {
		kind := typeOfValue(value)
		if kind == "" {
			return nil, inexpressible(at, "lists an array or an object as a value")
		}
		if !slices.Contains(types, kind) {
			types = append(types, kind)
		}
		c.enums++
		c.characters += len(fmt.Sprint(value))
	}
	if slices.Contains(types, "number") {
		types = slices.DeleteFunc(types, func(kind string) bool { return kind == "integer" })
	}
	converted := object{"enum": list, "type": oneOrMore(types)}
	if text := s["description"]; text != nil {
		converted["description"] = text
	}
	return converted, nil
}

func oneOrMore(types []string) any {
	if len(types) == 1 {
		return types[0]
	}
	return anys(types)
}

func (c *strictConversion) severalTypes(s object, types []string, at string, depth int) (object, error) {
	if !slices.Contains(types, "array") && !slices.Contains(types, "object") {
		return c.typed(s, "", at, depth)
	}
	var among []any
	for _, kind := range types {
		converted, err := c.typed(s, kind, at, depth)
		if err != nil {
			return nil, err
		}
		delete(converted, "description")
		among = append(among, converted)
	}
	result := object{"anyOf": among}
	if text := s["description"]; text != nil {
		result["description"] = text
	}
	return result, nil
}

// typed converts a schema of one type, or of its several plain ones for "".
func (c *strictConversion) typed(s object, kind, at string, depth int) (object, error) {
	if kind == "object" {
		converted, err := c.members(s, at, depth)
		if err == nil && s["description"] != nil {
			converted["description"] = s["description"]
		}
		return converted, err
	}
	converted := object{"type": kind}
	if kind == "" {
		converted["type"] = s["type"]
	}
	for _, keyword := range strictKeywords {
		if value, ok := s[keyword]; ok && appliesTo(keyword, kind) {
			converted[keyword] = value
		}
	}
	if format, ok := s["format"].(string); ok && slices.Contains(strictFormats, format) && kind == "string" {
		converted["format"] = format
	}
	if kind != "array" {
		return converted, nil
	}
	items := asObject(s["items"])
	if items == nil || s["prefixItems"] != nil {
		return nil, inexpressible(at, "is an array whose elements differ or are not described")
	}
	element, err := c.schema(items, at+"[]", depth+1)
	if err != nil {
		return nil, err
	}
	converted["items"] = element
	return converted, nil
}

// appliesTo reports whether a keyword speaks of a type. Of several types it is dropped.
func appliesTo(keyword, kind string) bool {
	switch keyword {
	case "description":
		return true
	case "pattern":
		return kind == "string"
	case "minItems", "maxItems":
		return kind == "array"
	}
	return kind == "number" || kind == "integer"
}

// members converts an object.
func (c *strictConversion) members(s object, at string, depth int) (object, error) {
	properties := asObject(s["properties"])
	required := names(s["required"])
	if len(properties) == 0 && at != "" && s["additionalProperties"] != false || s["patternProperties"] != nil {
		return nil, inexpressible(at, "is an object with arbitrary members")
	}
	converted, all := object{}, slices.Sorted(maps.Keys(properties))
	for _, name := range all {
		c.properties++
		c.characters += len(name)
		below := strings.TrimPrefix(at+"."+name, ".")
		one, err := c.schema(asObject(properties[name]), below, depth+1)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(required, name) {
			one = nullable(one)
		}
		converted[name] = one
	}
	return object{"type": "object", "properties": converted, "required": anys(all), "additionalProperties": false}, nil
}

// nullable returns a strict schema that takes null as well.
func nullable(s object) object {
	types := typesOf(s["type"])
	switch {
	case slices.Contains(types, "null"):
		return s
	case s["anyOf"] != nil:
		among := asList(s["anyOf"])
		if !slices.ContainsFunc(among, func(part any) bool { return slices.Contains(typesOf(asObject(part)["type"]), "null") }) {
			s["anyOf"] = append(among, object{"type": "null"})
		}
	case s["$ref"] != nil:
		return object{"anyOf": []any{s, object{"type": "null"}}}
	default:
		s["type"] = anys(append(types, "null"))
		if values := asList(s["enum"]); values != nil {
			s["enum"] = append(slices.Clone(values), nil)
		}
	}
	return s
}
