package reshape

import (
	"encoding/json"
	"maps"
	"regexp"
	"strconv"
)

// filter keeps the parts of data that paths select.
//
// A plain path (names, [], [*] and [n], such as items[].id) keeps its part
// in its place: {"items": [{"id": 1}, {"id": 2}]}. Elements that [n] does
// not name are left out; so is what does not exist. Any other
// expression becomes a member of that name: `length(items)` gives
// {"length(items)": 2}. When data is not an object and there is such an
// expression, every path becomes a member of its name.
func filter(paths []string, data any, b *budget) (any, error) {
	var plain selection
	hasPlain, named := false, map[string]any{}
	_, isObject := data.(map[string]any)
	for _, path := range paths {
		if steps, ok := plainPath(path); ok {
			plain.add(steps)
			hasPlain = true
			continue
		}
		value, err := evaluate(path, data, b)
		if err != nil {
			return nil, err
		}
		named[path] = value
	}
	if len(named) == 0 {
		return plain.of(data), nil
	}
	if hasPlain && isObject {
		kept, _ := plain.of(data).(map[string]any)
		maps.Copy(named, kept)
		return named, nil
	}
	for _, path := range paths {
		if _, done := named[path]; done {
			continue
		}
		value, err := evaluate(path, data, b)
		if err != nil {
			return nil, err
		}
		named[path] = value
	}
	return named, nil
}

// step is one part of a plain path.
type step struct {
	field string // when neither of the others
	each  bool   // [] or [*]
	index *int   // [n]
}

var pathStep = regexp.MustCompile(`^(?:(\.?)(?:([A-Za-z_][A-Za-z0-9_]*)|("(?:[^"\\]|\\.)*"))|(\[\*?\])|\[(\d{1,9})\])`)

// plainPath returns the steps of a path that has only names, [], [*] and [n].
func plainPath(path string) ([]step, bool) {
	var steps []step
	for rest := path; rest != ""; {
		m := pathStep.FindStringSubmatch(rest)
		if m == nil || m[4] == "" && m[5] == "" && (m[1] == "") != (len(steps) == 0) {
			return nil, false
		}
		var s step
		switch {
		case m[4] != "":
			s.each = true
		case m[5] != "":
			n, _ := strconv.Atoi(m[5]) // nine digits
			s.index = &n
		case m[3] != "":
			if json.Unmarshal([]byte(m[3]), &s.field) != nil {
				return nil, false
			}
		default:
			s.field = m[2]
		}
		steps, rest = append(steps, s), rest[len(m[0]):]
	}
	return steps, len(steps) > 0
}

// selection is a set of plain paths as a tree.
type selection struct {
	whole  bool
	fields map[string]*selection
	each   *selection
	at     map[int]*selection
}

func (s *selection) add(steps []step) {
	if len(steps) == 0 {
		s.whole = true
		return
	}
	var next *selection
	switch head := steps[0]; {
	case head.each:
		if s.each == nil {
			s.each = &selection{}
		}
		next = s.each
	case head.index != nil:
		if s.at == nil {
			s.at = map[int]*selection{}
		}
		if s.at[*head.index] == nil {
			s.at[*head.index] = &selection{}
		}
		next = s.at[*head.index]
	default:
		if s.fields == nil {
			s.fields = map[string]*selection{}
		}
		if s.fields[head.field] == nil {
			s.fields[head.field] = &selection{}
		}
		next = s.fields[head.field]
	}
	next.add(steps[1:])
}

// of returns the selected parts of v in their places, nil where v is not of the kind
// that the paths expect.
func (s *selection) of(v any) any {
	if s.whole {
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		kept := map[string]any{}
		for name, inner := range s.fields {
			if member, ok := v[name]; ok {
				kept[name] = inner.of(member)
			}
		}
		return kept
	case []any:
		if s.each == nil && s.at == nil {
			return nil
		}
		kept := []any{}
		for n, element := range v {
			switch {
			case s.at[n] != nil && s.each != nil:
				kept = append(kept, s.at[n].joined(s.each).of(element))
			case s.at[n] != nil:
				kept = append(kept, s.at[n].of(element))
			case s.each != nil:
				kept = append(kept, s.each.of(element))
			}
		}
		return kept
	}
	return nil
}

// joined returns the union of two selections.
func (s *selection) joined(other *selection) *selection {
	switch {
	case s == nil:
		return other
	case other == nil:
		return s
	}
	union := &selection{whole: s.whole || other.whole, each: s.each.joined(other.each), fields: map[string]*selection{}, at: map[int]*selection{}}
	for _, one := range []*selection{s, other} {
		for name, inner := range one.fields {
			union.fields[name] = union.fields[name].joined(inner)
		}
		for n, inner := range one.at {
			union.at[n] = union.at[n].joined(inner)
		}
	}
	return union
}
