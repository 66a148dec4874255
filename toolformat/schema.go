package toolformat

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

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
	textKeywords = []string{"description", "title", "format", "pattern", "$ref", "$comment", "contentEncoding", "contentMediaType"}
	boolKeywords = []string{"uniqueItems", "deprecated", "readOnly", "writeOnly"}
	jsonTypes    = []string{"string", "number", "integer", "boolean", "array", "object", "null"}
	dropped      = []string{"$anchor", "$schema", "$id", "id", "nullable", "discriminator", "xml", "externalDocs", "example", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary"}
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

// dropBrokenRefs drops the references that lead to no schema: such a part takes anything.
func dropBrokenRefs(root object) {
	schemas := map[uintptr]bool{}
	walk(root, func(s object) { schemas[identity(s)] = true })
	walk(root, func(s object) {
		ref, ok := s["$ref"].(string)
		if found := lookUp(root, ref); ok && (found == nil || !schemas[identity(found)]) {
			delete(s, "$ref")
		}
	})
}

// moveTargets copies what references lead to into $defs, so that they hold when what is
// around it changes. Afterwards each leads to a definition, or to the whole.
func moveTargets(root object) error {
	to := map[string]string{}
	walk(root, func(s object) {
		ref, ok := s["$ref"].(string)
		if name, inDefs := strings.CutPrefix(ref, "#/$defs/"); ok && ref != "#" && (!inDefs || strings.Contains(name, "/")) {
			to[ref] = ""
		}
	})
	if len(to) == 0 {
		return nil
	}
	defs := asObject(root["$defs"])
	if defs == nil {
		defs = object{}
	}
	nodes := 0
	for n, ref := range slices.Sorted(maps.Keys(to)) {
		name := "ref" + strconv.Itoa(n)
		for defs[name] != nil {
			name += "_"
		}
		target := copyOf(lookUp(root, ref))
		if walk(target, func(object) { nodes++ }); nodes > maxNodes {
			return errTooLarge
		}
		defs[name], to[ref] = target, "#/$defs/"+name
	}
	root["$defs"] = defs
	walk(root, func(s object) {
		if ref, ok := s["$ref"].(string); ok && to[ref] != "" {
			s["$ref"] = to[ref]
		}
	})
	return nil
}

// identity distinguishes two objects that are equal.
func identity(s object) uintptr { return reflect.ValueOf(s).Pointer() }

// lookUp returns the schema that a local reference leads to, nil when there is none.
func lookUp(root object, ref string) object {
	fragment, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil
	}
	if fragment == "" {
		return root
	}
	if !strings.HasPrefix(fragment, "/") {
		return nil // an anchor
	}
	fragment, err := url.PathUnescape(fragment)
	if err != nil {
		return nil
	}
	var at any = root
	for step := range strings.SplitSeq(fragment[1:], "/") {
		step = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
		switch in := at.(type) {
		case object:
			at = in[step]
		case []any:
			n, err := strconv.Atoi(step)
			if err != nil || n < 0 || n >= len(in) {
				return nil
			}
			at = in[n]
		default:
			return nil
		}
	}
	found, _ := at.(object)
	return found
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
