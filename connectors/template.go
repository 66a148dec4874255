package connectors

import (
	"errors"
	"fmt"
	"strings"
)

// template is text with JMESPath expressions in {{ and }}. It has no code:
// nothing but the values of expressions gets in.
type template struct{ parts []templatePart }

type templatePart struct {
	text string
	path *expression // nil: text as it is
}

// parseTemplate compiles a result template. An expression ends at the first }}
// that leaves it whole, so one may have braces of its own.
func parseTemplate(source string) (template, error) {
	var t template
	for {
		before, after, opened := strings.Cut(source, "{{")
		t.parts = append(t.parts, templatePart{text: before})
		if !opened {
			return t, nil
		}
		path, rest, err := parsePlace(after)
		if err != nil {
			return template{}, err
		}
		t.parts = append(t.parts, templatePart{path: &path})
		source = rest
	}
}

// parsePlace reads an expression and the }} behind it.
func parsePlace(after string) (path expression, rest string, err error) {
	err = errors.New("a {{ has no }}")
	broken := false
	const mostEnds = 16 // braces one expression may have
	for end, tries := 0, 0; tries < mostEnds; tries++ {
		n := strings.Index(after[end:], "}}")
		if n < 0 {
			break
		}
		inside := strings.TrimSpace(after[:end+n])
		if inside == "" {
			return expression{}, "", errors.New("there is nothing between {{ and }}")
		}
		compiled, wrong := compile(inside)
		if wrong == nil {
			return compiled, after[end+n+2:], nil
		}
		if !broken {
			broken, err = true, fmt.Errorf("{{ %s }}: %w", short(inside), wrong)
		}
		end += n + 1
	}
	return expression{}, "", err
}

// fill returns the text with the values of computable data in it: strings as
// they are, what is not there as nothing, anything else as JSON.
func (t template) fill(data any, m *meter) (string, error) {
	var b strings.Builder
	for _, part := range t.parts {
		b.WriteString(part.text)
		if part.path == nil {
			continue
		}
		value, err := part.path.search(data, m)
		if err != nil {
			return "", err
		}
		if value == nil {
			continue
		}
		inserted, err := written(value)
		if err != nil {
			return "", err
		}
		if b.WriteString(inserted); b.Len() > m.most {
			return "", errTooMuch
		}
	}
	return b.String(), nil
}
