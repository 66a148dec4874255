package toolformat

import "slices"

// withItems gives every array its items, without which OpenAI refuses a tool. A tuple
// becomes an array of what it may hold.
func withItems(root object) object {
	walk(root, func(s object) {
		if _, isSwitch := s["items"].(bool); isSwitch {
			delete(s, "items")
		}
		tuple := asList(s["prefixItems"])
		isArray := slices.Contains(typesOf(s["type"]), "array")
		if tuple == nil && !isArray {
			return
		}
		if items := asObject(s["items"]); items != nil && tuple != nil {
			tuple = append(tuple, items)
		}
		switch {
		case len(tuple) == 1:
			s["items"] = tuple[0]
		case len(tuple) > 1:
			s["items"] = object{"anyOf": tuple}
		case asObject(s["items"]) == nil:
			s["items"] = object{}
		}
		delete(s, "prefixItems")
	})
	return root
}
