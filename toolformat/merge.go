package toolformat

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxMerged bounds the schemas that one is merged of.
const maxMerged = 100

// mergeAll returns a schema without its allOf, when its parts don't contradict each other.
func mergeAll(root, s object) (object, bool) {
	merged := copyOf(s)
	delete(merged, "allOf")
	parts := slices.Clone(asList(s["allOf"]))
	for steps := 0; len(parts) > 0; steps++ {
		if steps > maxMerged {
			return nil, false
		}
		part := asObject(parts[0])
		parts = parts[1:]
		if ref, ok := part["$ref"].(string); ok {
			parts = append(parts, lookUp(root, ref))
		}
		parts = append(parts, asList(part["allOf"])...)
		if !mergeInto(merged, part) {
			return nil, false
		}
	}
	return merged, true
}

func mergeInto(merged, part object) bool {
	for _, keyword := range slices.Sorted(maps.Keys(part)) {
		value := clone(part[keyword])
		switch have, taken := merged[keyword]; {
		case keyword == "allOf" || keyword == "$ref":
		case !taken:
			merged[keyword] = value
		case keyword == "required":
			merged[keyword] = texts(append(asList(have), asList(value)...))
		case keyword == "properties":
			for name, p := range asObject(value) {
				if own, both := asObject(have)[name]; both {
					p = object{"allOf": []any{own, p}}
				}
				asObject(have)[name] = p
			}
		case keyword == "description" || keyword == "title" || keyword == "default" || keyword == "examples" || keyword == "deprecated":
		case keyword == "additionalProperties":
			delete(merged, keyword)
		default:
			if fmt.Sprint(have) != fmt.Sprint(value) {
				return false
			}
		}
	}
	return true
}

// impliedTypes returns the type that the keywords of a schema without one speak of.
func impliedTypes(s object) []string {
	switch {
	case s["properties"] != nil:
		return []string{"object"}
	case s["items"] != nil:
		return []string{"array"}
	}
	return nil
}

func typeOfValue(v any) string {
	switch v := v.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case nil:
		return "null"
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return "number"
		}
		return "integer"
	}
	return ""
}
