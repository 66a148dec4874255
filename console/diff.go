package console

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// maxDifferences bounds what a page lists.
const maxDifferences = 200

// differences lists where two JSON values differ, with JSON pointers (RFC 6901). Elements of
// arrays that have names are compared by name: one that was added is not a change of all after it.
func differences(at string, before, after any, all []change) []change {
	if same(before, after) || len(all) >= maxDifferences {
		return all
	}
	if a, b, ok := both[map[string]any](before, after); ok {
		names := map[string]bool{}
		for name := range a {
			names[name] = true
		}
		for name := range b {
			names[name] = true
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			all = differences(at+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name), a[name], b[name], all)
		}
		return all
	}
	if a, b, ok := both[[]any](before, after); ok {
		if x, y := byName(a), byName(b); x != nil && y != nil {
			return differences(at, x, y, all)
		}
		for n := range max(len(a), len(b)) {
			all = differences(at+"/"+strconv.Itoa(n), element(a, n), element(b, n), all)
		}
		return all
	}
	return append(all, change{Pointer: at, Old: before, New: after})
}

func both[T any](a, b any) (x, y T, ok bool) {
	x, isX := a.(T)
	y, isY := b.(T)
	return x, y, isX && isY
}

func element(all []any, n int) any {
	if n < len(all) {
		return all[n]
	}
	return nil
}

// byName returns objects by their member name, nil if they have none.
func byName(all []any) map[string]any {
	named := map[string]any{}
	for _, one := range all {
		o, _ := one.(map[string]any)
		name, ok := o["name"].(string)
		if !ok {
			return nil
		}
		named[name] = o
	}
	return named
}

// same reports whether two JSON values are equal.
func same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

func sortNewest(all []moment) {
	slices.SortStableFunc(all, func(a, b moment) int { return b.At.Compare(a.At) })
}
