package openapi

import "slices"

const (
	maxHidden = 200    // names of readOnly properties of an allOf
	maxLooked = 20_000 // schemas that are searched for them
)

// freeReadOnly requires no property that only responses have, and leaves it out unless
// the document requires it: such as the id of what a request refers to. hidden are those
// of the schemas beside this one in an allOf.
func (s *schemas) freeReadOnly(out, members map[string]any, hidden []string) {
	properties, _ := out["properties"].(map[string]any)
	given, _ := members["properties"].(map[string]any)
	required, _ := out["required"].([]any)
	combined := len(hidden) > 0
	for name := range properties {
		if !s.request || !s.document.readOnly(given[name]) {
			continue
		}
		if out["additionalProperties"] == false || !combined && !slices.Contains(required, any(name)) {
			delete(properties, name)
		}
		hidden = append(slices.Clone(hidden), name)
	}
	required = slices.DeleteFunc(slices.Clone(required), func(v any) bool {
		name, _ := v.(string)
		return slices.Contains(hidden, name)
	})
	if delete(out, "required"); len(required) > 0 {
		out["required"] = required
	}
}

func (d *Document) readOnly(v any) bool {
	members, _ := v.(map[string]any)
	return members["readOnly"] == true || d.object(v)["readOnly"] == true
}

// readOnlyNames returns the readOnly properties of a schema and of what its allOf holds.
func (s *schemas) readOnlyNames(v any, depth int) []string {
	members := s.document.object(v)
	if s.looked++; s.looked > maxLooked || depth > 6 {
		return nil
	}
	var names []string
	properties, _ := members["properties"].(map[string]any)
	s.looked += len(properties)
	for name, property := range properties {
		if s.document.readOnly(property) {
			names = append(names, name)
		}
	}
	all, _ := members["allOf"].([]any)
	for _, part := range all {
		if names = append(names, s.readOnlyNames(part, depth+1)...); len(names) > maxHidden || s.looked > maxLooked {
			break
		}
	}
	return names
}
