package domain

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
)

// A Place is a path to a value in a JSON document, by members and indexes:
// data.tokens[0]."access token". It is a JMESPath expression that computes nothing,
// so a caller who chooses it learns nothing about the document except whether the
// value exists.
type Place struct{ steps []placeStep }

type placeStep struct {
	member string
	index  int
	array  bool // an array element, by index
}

var placeSyntax = regexp.MustCompile(`^(?:(\.?)(?:([A-Za-z_][A-Za-z0-9_]*)|("(?:[^"\\]|\\.)*"))|\[(-?\d{1,9})\])`)

var errNoPlace = errors.New("it must be a path of members and indexes, such as data.tokens[0]")

// ParsePlace parses a place. Functions, slices, wildcards, literals and operators
// are errors.
func ParsePlace(text string) (Place, error) {
	var p Place
	for rest := text; rest != ""; {
		match := placeSyntax.FindStringSubmatch(rest)
		if match == nil {
			return Place{}, errNoPlace
		}
		step := placeStep{member: match[2], array: match[4] != ""}
		var err error
		switch dotted := match[1] != ""; {
		case step.array:
			step.index, err = strconv.Atoi(match[4])
		case dotted == (len(p.steps) == 0):
			err = errNoPlace
		case match[3] != "":
			err = json.Unmarshal([]byte(match[3]), &step.member)
		}
		if err != nil {
			return Place{}, errNoPlace
		}
		p.steps, rest = append(p.steps, step), rest[len(match[0]):]
	}
	if len(p.steps) == 0 {
		return Place{}, errNoPlace
	}
	return p, nil
}

// In returns the value at the place in decoded JSON, nil if there is none. A
// negative index counts from the end.
func (p Place) In(v any) any {
	for _, step := range p.steps {
		if !step.array {
			members, _ := v.(map[string]any)
			v = members[step.member]
			continue
		}
		elements, _ := v.([]any)
		at := step.index
		if at < 0 {
			at += len(elements)
		}
		if at < 0 || at >= len(elements) {
			return nil
		}
		v = elements[at]
	}
	return v
}

// tokenPlace is the rule for the path of a token, or of its lifetime.
func tokenPlace(s string) (string, string) {
	return broken("expression_invalid", "is not a path in a response", placeProblem(s))
}

func placeProblem(s string) error {
	_, err := ParsePlace(s)
	return err
}
