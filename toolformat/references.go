package toolformat

import (
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

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
	for token := range strings.SplitSeq(fragment[1:], "/") {
		at, _ = domain.PointedChild(at, token)
	}
	found, _ := at.(object)
	return found
}
