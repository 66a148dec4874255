package toolformat

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// maxNodes bounds the schemas that one tool is made of, also after references were
// replaced by what they refer to.
const maxNodes = 20_000

var errTooLarge = errors.New("Its input_schema has too many parts.") //nolint:staticcheck // a sentence for a person

// object is a JSON object: a schema, or one of its members.
type object = map[string]any

// read decodes the input schema of a tool as JSON Schema 2020-12: what older drafts and
// OpenAPI wrote in another way is upgraded, and a keyword whose value is of the wrong type
// is dropped. Booleans become {} or {"not": {}}. Validation means the same as before, or
// less: the endpoint validates by its own schema.
func read(schema json.RawMessage) (object, error) {
	var root object
	decoder := json.NewDecoder(bytes.NewReader(schema))
	decoder.UseNumber()
	if decoder.Decode(&root) != nil || root == nil {
		return nil, errors.New("Its input_schema is not an object.") //nolint:staticcheck // a sentence for a person
	}
	delete(root, "$id")
	delete(root, "id")
	delete(root, "$schema")
	if old, ok := root["definitions"].(object); ok {
		defs, _ := root["$defs"].(object)
		if defs == nil {
			defs = object{}
		}
		for name, d := range old {
			if _, taken := defs[name]; !taken {
				defs[name] = d
			}
		}
		root["$defs"] = defs
		delete(root, "definitions")
	}
	nodes := 0
	upgraded, _ := upgrade(root, &nodes).(object)
	if nodes > maxNodes {
		return nil, errTooLarge
	}
	dropBrokenRefs(upgraded)
	if err := moveTargets(upgraded); err != nil {
		return nil, err
	}
	upgraded["type"] = "object"
	if upgraded["properties"] == nil {
		upgraded["properties"] = object{}
	}
	return upgraded, nil
}

var (
	schemaKeywords = []string{
		"items", "additionalProperties", "unevaluatedProperties", "unevaluatedItems", "contains", "propertyNames",
		"not", "if", "then", "else",
	}
	mapKeywords  = []string{"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
	listKeywords = []string{"allOf", "anyOf", "oneOf", "prefixItems"}

	numberKeywords = []string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
	countKeywords  = []string{
		"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains",
	}
	textKeywords = []string{"description", "title", "format", "$ref", "$comment", "contentEncoding", "contentMediaType"}
	boolKeywords = []string{"uniqueItems", "deprecated", "readOnly", "writeOnly"}
	jsonTypes    = []string{"string", "number", "integer", "boolean", "array", "object", "null"}
	dropped      = []string{"$anchor", "$schema", "$id", "id", "nullable", "discriminator", "xml", "externalDocs", "example", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary"}
)

// upgrade returns a schema as an object of 2020-12.
func upgrade(schema any, nodes *int) any {
	*nodes++
	s, ok := schema.(object)
	if !ok {
		if schema == false {
			return object{"not": object{}}
		}
		return object{}
	}
	upgradeArrays(s)
	upgradeBounds(s)
	upgradeDependencies(s)
	for name := range s {
		if slices.Contains(dropped, name) || strings.HasPrefix(name, "x-") || !wellFormed(name, s[name]) {
			delete(s, name)
		}
	}
	if required, ok := s["required"].([]any); ok {
		s["required"] = texts(required)
	}
	if ref, ok := s["$ref"].(string); ok && strings.HasPrefix(ref, "#/definitions/") {
		s["$ref"] = "#/$defs/" + strings.TrimPrefix(ref, "#/definitions/")
	}
	if *nodes > maxNodes {
		return s // it is refused
	}
	patterns(s)
	if properties, ok := s["properties"].(object); ok {
		maps.DeleteFunc(properties, func(_ string, part any) bool { return part == false })
	}
	if s["items"] == true {
		s["items"] = object{}
	}
	replaceParts(s, func(part any) any { return upgrade(part, nodes) })
	return s
}

// upgradeArrays writes a tuple as 2020-12 does.
func upgradeArrays(s object) {
	if tuple, ok := s["items"].([]any); ok {
		delete(s, "items")
		if len(tuple) > 0 {
			s["prefixItems"] = tuple
		}
		if rest, ok := s["additionalItems"]; ok {
			s["items"] = rest
		}
	}
	delete(s, "additionalItems")
}

// upgradeBounds writes the exclusive bounds of draft 4 as numbers.
func upgradeBounds(s object) {
	for exclusive, bound := range map[string]string{"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"} {
		if is, ok := s[exclusive].(bool); ok {
			delete(s, exclusive)
			if limit, given := s[bound]; given && is {
				s[exclusive] = limit
				delete(s, bound)
			}
		}
	}
}

func upgradeDependencies(s object) {
	all, _ := s["dependencies"].(object)
	delete(s, "dependencies")
	for name, d := range all {
		keyword := "dependentSchemas"
		if _, isList := d.([]any); isList {
			keyword = "dependentRequired"
		}
		into, _ := s[keyword].(object)
		if into == nil {
			into = object{}
			s[keyword] = into
		}
		into[name] = d
	}
}

// wellFormed reports whether the value of a keyword is of the type that 2020-12 asks for.
func wellFormed(keyword string, value any) bool {
	isSchema := func(v any) bool {
		switch v.(type) {
		case object, bool:
			return true
		}
		return false
	}
	switch {
	case slices.Contains(schemaKeywords, keyword):
		return isSchema(value)
	case slices.Contains(mapKeywords, keyword):
		_, ok := value.(object)
		return ok
	case slices.Contains(listKeywords, keyword):
		list, ok := value.([]any)
		return ok && len(list) > 0
	case slices.Contains(numberKeywords, keyword):
		n, ok := value.(json.Number)
		return ok && (keyword != "multipleOf" || !strings.HasPrefix(n.String(), "-") && strings.Trim(n.String(), "0.eE+-") != "")
	case slices.Contains(countKeywords, keyword):
		n, ok := value.(json.Number)
		_, err := strconv.ParseUint(n.String(), 10, 63)
		return ok && err == nil
	case slices.Contains(textKeywords, keyword):
		_, ok := value.(string)
		return ok
	case slices.Contains(boolKeywords, keyword):
		_, ok := value.(bool)
		return ok
	}
	switch keyword {
	case "pattern":
		_, ok := value.(string)
		return ok
	case "type":
		return len(typesOf(value)) > 0
	case "enum", "examples":
		list, ok := value.([]any)
		return ok && len(list) > 0
	case "required":
		_, ok := value.([]any)
		return ok
	case "dependentRequired":
		all, ok := value.(object)
		for _, names := range all {
			list, isList := names.([]any)
			ok = ok && isList && len(texts(list)) == len(list)
		}
		return ok
	}
	return true
}

// typesOf returns the types that a type keyword names.
func typesOf(value any) []string {
	switch value := value.(type) {
	case string:
		if slices.Contains(jsonTypes, value) {
			return []string{value}
		}
	case []any:
		var all []string
		for _, v := range value {
			s, ok := v.(string)
			if !ok || !slices.Contains(jsonTypes, s) || slices.Contains(all, s) {
				return nil
			}
			all = append(all, s)
		}
		return all
	}
	return nil
}

// texts returns the strings of a list, each once.
func texts(list []any) []any {
	all := []any{}
	for _, v := range list {
		if s, ok := v.(string); ok && !slices.Contains(all, any(s)) {
			all = append(all, s)
		}
	}
	return all
}
