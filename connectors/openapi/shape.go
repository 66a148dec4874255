package openapi

// shape is what a style must carry.
type shape int

const (
	scalar shape = iota
	list         // of scalars
	other        // an object of scalars, or anything
	nested
)

// shapeOf returns the shape of the values that a schema takes.
func shapeOf(schema map[string]any) shape {
	kinds := texts(schema["type"])
	if kind, ok := schema["type"].(string); ok {
		kinds = []string{kind}
	}
	found := scalar
	if len(kinds) == 0 {
		found = other
		if _, ok := schema["enum"]; ok {
			found = scalar
		}
	}
	items, _ := schema["items"].(map[string]any)
	for _, kind := range kinds {
		switch kind {
		case "array":
			found = max(found, list)
			if s := shapeOf(items); s == nested || s == list || s == other && items["type"] != nil {
				return nested
			}
		case "object":
			found = max(found, other)
			properties, _ := schema["properties"].(map[string]any)
			for _, property := range properties {
				members, _ := property.(map[string]any)
				if s := shapeOf(members); s != scalar && (s != other || members["type"] != nil) {
					return nested
				}
			}
		}
	}
	return found
}
