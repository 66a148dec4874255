package domain

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Document is a decoded JSON object of a request: strings, bools, nil,
// json.Number, []any and map[string]any. Reading it member by member distinguishes
// absent from null, and lets a refusal list every problem with its pointer.
type Document map[string]any

// object reads one JSON object over the present values of a configuration. An
// absent member keeps its value; so does null where the member isn't nullable.
// Unknown members are problems.
type object struct {
	at       string // the JSON pointer of the object
	members  map[string]any
	known    map[string]bool
	problems *[]Problem
}

func newObject(at string, members map[string]any, problems *[]Problem) *object {
	return &object{at: at, members: members, known: map[string]bool{}, problems: problems}
}

// pointer returns the JSON pointer of a member, or of the object itself.
func (o *object) pointer(name string) string {
	if name == "" {
		return o.at
	}
	return o.at + "/" + EscapePointer(name)
}

func (o *object) problem(name, code, format string, args ...any) {
	*o.problems = append(*o.problems, Problem{Pointer: o.pointer(name), Code: code, Detail: fmt.Sprintf(format, args...)})
}

// problemAt is problem at a pointer below the object, without its first slash.
func (o *object) problemAt(below, code, detail string) {
	*o.problems = append(*o.problems, Problem{Pointer: o.at + "/" + below, Code: code, Detail: detail})
}

// requiredAt reports that there is no value at a pointer below the object, unless there
// is a problem with it already.
func (o *object) requiredAt(below string) {
	at := o.at + "/" + below
	if !slices.ContainsFunc(*o.problems, func(p Problem) bool { return p.Pointer == at || p.Pointer == at+"/value" }) {
		o.problemAt(below, "required", "is required")
	}
}

// given returns the value of a member and whether it is there and not null.
func (o *object) given(name string) (any, bool) {
	o.known[name] = true
	v := o.members[name]
	return v, v != nil
}

// null reports whether the member is there and null.
func (o *object) null(name string) bool {
	v, there := o.members[name]
	return there && v == nil
}

// member reads a member as a T and reports whether it was present.
func member[T any](o *object, name, kind string) (value T, ok bool) {
	v, given := o.given(name)
	if !given {
		return value, false
	}
	if value, ok = v.(T); !ok {
		o.problem(name, "type", "must be %s", kind)
	}
	return value, ok
}

// A rule returns a code and a sentence if a string breaks it, else "" twice.
type rule func(string) (code, detail string)

// text reads a string that satisfies every rule.
func (o *object) text(name string, into *string, rules ...rule) {
	s, ok := member[string](o, name, "a string")
	if !ok {
		return
	}
	*into = s
	o.check(name, s, rules...)
}

// nullableText is text for a member that null clears.
func (o *object) nullableText(name string, into *string, rules ...rule) {
	if o.null(name) {
		*into = ""
	}
	o.text(name, into, rules...)
}

// check applies rules to s and reports the first one that it breaks.
func (o *object) check(name, s string, rules ...rule) bool {
	for _, broken := range rules {
		if code, detail := broken(s); code != "" {
			o.problem(name, code, "%s", detail)
			return false
		}
	}
	return true
}

// choice reads a string from a closed set.
func choice[T ~string](o *object, name string, into *T, among ...T) {
	s, ok := member[string](o, name, "a string")
	if !ok {
		return
	}
	if !slices.Contains(among, T(s)) {
		o.problem(name, "enum", "must be one of %s", join(among))
		return
	}
	*into = T(s)
}

func join[T ~string](words []T) string {
	all := make([]string, len(words))
	for n, w := range words {
		all[n] = string(w)
	}
	return strings.Join(all, ", ")
}

func (o *object) boolean(name string, into *bool) {
	if b, ok := member[bool](o, name, "true or false"); ok {
		*into = b
	}
}

// integer reads a whole number from low to high.
func (o *object) integer(name string, into *int, low, high int) {
	v, ok := member[json.Number](o, name, "a whole number")
	if !ok {
		return
	}
	switch n, whole := WholeNumber(v); {
	case !whole:
		o.problem(name, "type", "must be a whole number")
	case n < int64(low) || n > int64(high):
		o.problem(name, "range", "must be from %d to %d", low, high)
	default:
		*into = int(n)
	}
}

// list reads an array and calls read for each element.
func (o *object) list(name string, limit int, read func(at string, element any)) bool {
	elements, ok := member[[]any](o, name, "an array")
	if !ok {
		return false
	}
	if len(elements) > limit {
		o.problem(name, "too_many", "has %d elements; at most %d are allowed", len(elements), limit)
		return false
	}
	for n, element := range elements {
		read(o.pointer(name)+"/"+strconv.Itoa(n), element)
	}
	return true
}

// texts reads an array of strings.
func (o *object) texts(name string, into *[]string, limit int, rules ...rule) {
	var all []string
	if o.list(name, limit, func(at string, element any) {
		s, ok := element.(string)
		place := &object{at: at, problems: o.problems}
		if !ok {
			place.problem("", "type", "must be a string")
			return
		}
		place.check("", s, rules...)
		all = append(all, s)
	}) {
		*into = all
	}
}

// object reads an object with read.
func (o *object) object(name string, read func(*object)) {
	if members, ok := member[map[string]any](o, name, "an object"); ok {
		read(newObject(o.pointer(name), members, o.problems))
	}
}

// each calls read for every member, sorted by name.
func (o *object) each(read func(name string)) {
	for _, name := range slices.Sorted(maps.Keys(o.members)) {
		read(name)
	}
}

// done reports the unknown members.
func (o *object) done() {
	o.each(func(name string) {
		if !o.known[name] {
			*o.problems = append(*o.problems, UnknownMember(o.pointer(name), name, slices.Sorted(maps.Keys(o.known))))
		}
	})
}

// required reports a member that has no value after everything was read. A member
// that already has a problem is not reported again.
func (o *object) required(name string, has bool) {
	if !has && !slices.ContainsFunc(*o.problems, func(p Problem) bool { return p.Pointer == o.pointer(name) }) {
		o.problem(name, "required", "is required")
	}
}

// refuseGiven reports a member that doesn't apply. Null, an empty string, array or
// object pass, so that a document that was read can be sent back.
func (o *object) refuseGiven(name, why string) {
	v, given := o.given(name)
	switch v := v.(type) {
	case string:
		given = v != ""
	case []any:
		given = len(v) > 0
	case map[string]any:
		given = len(v) > 0
	}
	if given {
		o.problem(name, "not_allowed", "%s", why)
	}
}

// length is the rule that a string has from low to high characters.
func length(low, high int) rule {
	return func(s string) (string, string) {
		switch n := utf8.RuneCountInString(s); {
		case n < low && low == 1:
			return "too_short", "must not be empty"
		case n < low:
			return "too_short", fmt.Sprintf("must have at least %d characters", low)
		case n > high:
			return "too_long", fmt.Sprintf("has %d characters; at most %d are allowed", n, high)
		}
		return "", ""
	}
}
