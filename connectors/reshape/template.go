package reshape

import (
	"errors"
	"fmt"
	"strings"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
)

// template is text with JMESPath expressions in {{ and }}, which are replaced by
// their values.
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
		path, rest, err := parseExpression(after)
		if err != nil {
			return template{}, err
		}
		t.parts = append(t.parts, templatePart{path: &path})
		source = rest
	}
}

// parseExpression reads an expression and the }} behind it.
func parseExpression(after string) (path expression, rest string, err error) {
	err = errors.New("a {{ has no }}")
	broken := false
	const maxEnds = 16 // braces one expression may have
	for end, tries := 0, 0; tries < maxEnds; tries++ {
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
			broken, err = true, fmt.Errorf("{{ %s }}: %w", jsonvalue.Abbreviate(inside, 300), wrong)
		}
		end += n + 1
	}
	return expression{}, "", err
}

// fill returns the text with the values of expressions on decoded JSON: strings as
// they are, null as nothing, anything else as JSON.
func (t template) fill(data any, limit *budget) (string, error) {
	var b strings.Builder
	for _, part := range t.parts {
		b.WriteString(part.text)
		if part.path == nil {
			continue
		}
		value, err := part.path.search(data, limit)
		if err != nil {
			return "", err
		}
		if value == nil {
			continue
		}
		inserted, err := asText(value)
		if err != nil {
			return "", err
		}
		if b.WriteString(inserted); b.Len() > limit.maxSize {
			return "", ErrTooMuch
		}
	}
	return b.String(), nil
}
