package domain

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
)

// Change is one difference between two configurations.
type Change struct {
	Pointer string `json:"pointer"` // a JSON pointer into the configuration
	Old     any    `json:"old"`     // nil when it was absent, and for a secret
	New     any    `json:"new"`     // nil when it is absent, and for a secret
	Secret  bool   `json:"secret"`  // a secret changed; its values are omitted
}

// Changes returns every difference between two configurations, sorted by pointer.
func Changes(from, to Configuration) []Change {
	var changes []Change
	compare("", tree(from), tree(to), secretAt.MatchString, &changes)
	return changes
}

// DocumentChanges returns every difference between two documents, as Configuration.Document
// returns them, sorted by pointer. It shows every value: documents with secrets must not be given to it.
func DocumentChanges(from, to Document) []Change {
	var changes []Change
	compare("", map[string]any(from), map[string]any(to), func(string) bool { return false }, &changes)
	return changes
}

func pointers(from, to Configuration) []string {
	var all []string
	for _, c := range Changes(from, to) {
		all = append(all, c.Pointer)
	}
	return all
}

// tree returns c as decoded JSON. Empty values have no members.
func tree(c Configuration) any {
	if c.DisplayName == "" {
		return map[string]any{}
	}
	data, err := json.Marshal(c)
	if err != nil {
		return nil // a Configuration is plain data; this can't happen
	}
	var t any
	if decodeExact(data, &t) != nil {
		return nil
	}
	return t
}

// decodeExact decodes JSON with numbers as json.Number: a float64 rounds some of them and
// can't hold others.
func decodeExact(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return dec.Decode(into)
}

func compare(at string, from, to any, isSecret func(pointer string) bool, changes *[]Change) {
	if reflect.DeepEqual(from, to) {
		return
	}
	if isSecret(at) {
		*changes = append(*changes, Change{Pointer: at, Secret: true})
		return
	}
	before, fromObject := from.(map[string]any)
	after, toObject := to.(map[string]any)
	if fromObject && toObject {
		names := maps.Clone(before)
		maps.Copy(names, after)
		for _, name := range slices.Sorted(maps.Keys(names)) {
			compare(at+"/"+EscapePointer(name), before[name], after[name], isSecret, changes)
		}
		return
	}
	a, fromList := from.([]any)
	b, toList := to.([]any)
	if fromList && toList && len(a) == len(b) {
		for n := range a {
			compare(at+"/"+strconv.Itoa(n), a[n], b[n], isSecret, changes)
		}
		return
	}
	*changes = append(*changes, Change{Pointer: at, Old: withoutSecrets(at, from, isSecret), New: withoutSecrets(at, to, isSecret)})
}

// secretAt matches the pointers of secret references. An object of the same shape
// elsewhere, such as in the schema of an endpoint, is not a reference.
var secretAt = regexp.MustCompile(`^(?:(?:/endpoints/\d+)?/auth/secrets|/mcp_headers|/header_secrets)/[^/]+$|^(?:/endpoints/\d+)?/auth/signing_keys/\d+/private_key$`)

// withoutSecrets returns v, the value at a pointer, with every secret reference
// in it replaced by nil.
func withoutSecrets(at string, v any, isSecret func(pointer string) bool) any {
	if isSecret(at) {
		return nil
	}
	switch v := v.(type) {
	case map[string]any:
		clean := make(map[string]any, len(v))
		for name, inner := range v {
			clean[name] = withoutSecrets(at+"/"+EscapePointer(name), inner, isSecret)
		}
		return clean
	case []any:
		clean := make([]any, len(v))
		for n, inner := range v {
			clean[n] = withoutSecrets(at+"/"+strconv.Itoa(n), inner, isSecret)
		}
		return clean
	}
	return v
}
