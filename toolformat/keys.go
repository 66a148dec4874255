package toolformat

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

var (
	anthropicKey = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,64}$`)
	geminiKey    = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,63}$`)
	notInKey     = regexp.MustCompile(`[^a-zA-Z0-9]+`)
)

const maxKey = 64

// keys maps the property names of a schema that some provider refuses to names that all
// take. It depends on the schema alone. No new name is another's, or an original.
type keys map[string]string

// keysOf returns the keys of a schema that was read.
func keysOf(root object) keys {
	all := map[string]bool{}
	walk(root, func(s object) {
		for name := range asObject(s["properties"]) {
			all[name] = true
		}
		for _, name := range names(s["required"]) {
			all[name] = true
		}
	})
	taken := map[string]int{}
	renamed := keys{}
	for name := range all {
		taken[name]++
		if !geminiKey.MatchString(name) {
			renamed[name] = plainKey(name)
			taken[renamed[name]]++
		}
	}
	for name, to := range renamed {
		if taken[to] > 1 {
			sum := sha256.Sum256([]byte(name))
			hash := "_" + hex.EncodeToString(sum[:6])
			renamed[name] = to[:min(len(to), maxKey-len(hash))] + hash
		}
	}
	return renamed
}

func plainKey(name string) string {
	key := strings.Trim(notInKey.ReplaceAllString(name, "_"), "_")
	if key == "" || key[0] >= '0' && key[0] <= '9' {
		key = "_" + key
	}
	return key[:min(len(key), maxKey)]
}

// rename renames the properties of a schema whose names don't match.
func rename(root object, k keys, allowed *regexp.Regexp) {
	to := func(name string) string {
		if other, ok := k[name]; ok && !allowed.MatchString(name) {
			return other
		}
		return name
	}
	walk(root, func(s object) {
		for _, keyword := range []string{"properties", "dependentSchemas", "dependentRequired"} {
			if members := asObject(s[keyword]); members != nil {
				renamed := make(object, len(members))
				for name, member := range members {
					if list := names(member); keyword == "dependentRequired" {
						for n := range list {
							list[n] = to(list[n])
						}
						member = anys(list)
					}
					renamed[to(name)] = member
				}
				s[keyword] = renamed
			}
		}
		if s["required"] != nil {
			required := names(s["required"])
			for n := range required {
				required[n] = to(required[n])
			}
			s["required"] = anys(required)
		}
	})
}

// Renames reports whether a format has to rename a property of an input schema.
func Renames(schema json.RawMessage) bool {
	root, err := read(schema)
	return err == nil && len(keysOf(root)) > 0
}

// Arguments returns the arguments of a call under the names that the input schema of the
// endpoint has: properties that a format had to rename are accepted under both names. It
// depends on its arguments alone and changes none of them.
func Arguments(schema json.RawMessage, given map[string]any) map[string]any {
	root, err := read(schema)
	if err != nil || len(given) == 0 {
		return given
	}
	back := map[string]string{}
	for name, to := range keysOf(root) {
		back[to] = name
	}
	if len(back) == 0 {
		return given
	}
	m := mapping{root: root, back: back}
	mapped, _ := m.value(given, []object{root}).(map[string]any)
	return mapped
}

type mapping struct {
	root object
	back map[string]string
	work int
}

// maxMapping bounds the schemas that are visited for the arguments of one call.
const maxMapping = 200_000

// value maps a value that all of these schemas describe.
func (m *mapping) value(v any, schemas []object) any {
	if m.work > maxMapping {
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		return m.members(v, m.parts(schemas))
	case []any:
		parts := m.parts(schemas)
		mapped := make([]any, len(v))
		for n, element := range v {
			mapped[n] = m.value(element, elementSchemas(parts, n))
		}
		return mapped
	}
	return v
}

func (m *mapping) members(v map[string]any, parts []object) map[string]any {
	declared := map[string][]object{}
	var rest []object
	for _, s := range parts {
		for name, p := range asObject(s["properties"]) {
			declared[name] = append(declared[name], asObject(p))
		}
		for _, p := range asObject(s["patternProperties"]) {
			rest = append(rest, asObject(p))
		}
		if more := asObject(s["additionalProperties"]); more != nil {
			rest = append(rest, more)
		}
	}
	mapped := make(map[string]any, len(v))
	for _, name := range slices.Sorted(maps.Keys(v)) {
		member, schemas := v[name], rest
		if original, ok := m.back[name]; ok && declared[name] == nil && declared[original] != nil {
			if _, both := v[original]; !both {
				name = original
			}
		}
		if declared[name] != nil {
			schemas = declared[name]
		}
		mapped[name] = m.value(member, schemas)
	}
	return mapped
}

// parts returns the schemas that may describe the same value: what these refer to and are
// combined of, too.
func (m *mapping) parts(schemas []object) []object {
	var all []object
	seen := map[uintptr]bool{}
	var add func(s object)
	add = func(s object) {
		if m.work++; s == nil || m.work > maxMapping || seen[identity(s)] {
			return
		}
		seen[identity(s)] = true
		all = append(all, s)
		if ref, ok := s["$ref"].(string); ok {
			add(lookUp(m.root, ref))
		}
		for _, keyword := range []string{"allOf", "anyOf", "oneOf"} {
			for _, part := range asList(s[keyword]) {
				add(asObject(part))
			}
		}
		for _, keyword := range []string{"then", "else"} {
			add(asObject(s[keyword]))
		}
		for _, part := range asObject(s["dependentSchemas"]) {
			add(asObject(part))
		}
	}
	for _, s := range schemas {
		add(s)
	}
	return all
}

func elementSchemas(parts []object, n int) []object {
	var all []object
	for _, s := range parts {
		tuple := asList(s["prefixItems"])
		if n < len(tuple) {
			all = append(all, asObject(tuple[n]))
		} else if items := asObject(s["items"]); items != nil {
			all = append(all, items)
		}
	}
	return all
}
