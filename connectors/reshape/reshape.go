// Package reshape turns the answer of an upstream into the result of an endpoint: by
// its filter, its mapping, its key and its template.
//
// Its promise: what the expressions of an endpoint may do on one answer, and how
// large a result may be, is bounded, and ends with its context.
package reshape

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

// Result is an answer after each step. A step that is not configured has nil.
type Result struct {
	Filtered any
	Mapped   any
	Final    string
}

// CheckExpression returns what is wrong with a JMESPath expression.
func CheckExpression(text string) error {
	_, err := compile(text)
	return err
}

// CheckTemplate returns what is wrong with a result template.
func CheckTemplate(text string) error {
	_, err := parseTemplate(text)
	return err
}

// Configured reports whether an endpoint changes its answers.
func Configured(e domain.Endpoint) bool {
	return len(e.ResponseFilter) > 0 || len(e.ResponseMapping) > 0 || e.ResultKey != "" || e.ResultTemplate != ""
}

// Run runs an answer through the steps of an endpoint: response_filter,
// response_mapping, result_key, result_template, max_result_length. A step that is not
// configured passes on its input. Steps that pick parts need JSON; a template also takes
// text, as {{ @ }}. Expressions may use the variables $response_headers and $status_code;
// where one does, the steps take text and, as null, an empty answer too. Without that, an
// empty answer is the result that its headers make of it: where what was created is, else
// nothing. An error is a sentence about a step, without its full stop; the result then
// holds the steps before it.
func Run(ctx context.Context, e domain.Endpoint, answer Response) (Result, error) {
	var r Result
	raw := answer.Value
	picks := len(e.ResponseFilter) > 0 || len(e.ResponseMapping) > 0 || e.ResultKey != ""
	reads := !answer.IsJSON && readsResponse(e)
	if raw == nil && !answer.IsJSON && !reads {
		var err error
		r.Final, err = answer.created()
		r.Final = shortened(e, r.Final)
		return r, err
	}
	if picks && !answer.IsJSON && !reads {
		return r, errors.New("response_filter, response_mapping and result_key need a JSON answer, and the upstream's is text")
	}
	current, b := raw, newBudget(ctx)
	b.bindings = answer.bindings()
	b.maxSize = MaxResult(answerSize(raw))
	if len(e.ResponseFilter) > 0 {
		kept, err := filter(e.ResponseFilter, current, b)
		if err != nil {
			return r, fmt.Errorf("response_filter: %w", err)
		}
		if size := b.maxSize; measure(kept, &size) != nil {
			return r, fmt.Errorf("response_filter: %w", ErrTooMuch)
		}
		current, r.Filtered = kept, kept
	}
	if len(e.ResponseMapping) > 0 {
		mapped := make(map[string]any, len(e.ResponseMapping))
		size := b.maxSize // of all members together: they may share the parts of a small answer
		for _, name := range slices.Sorted(maps.Keys(e.ResponseMapping)) {
			value, err := evaluate(e.ResponseMapping[name], current, b)
			if err == nil {
				err = measure(value, &size)
			}
			if err != nil {
				return r, fmt.Errorf("response_mapping: %s: %w", name, err)
			}
			mapped[name] = value
		}
		current, r.Mapped = mapped, mapped
	}
	if e.ResultKey != "" {
		value, err := evaluate(e.ResultKey, current, b)
		if err != nil {
			return r, fmt.Errorf("result_key: %w", err)
		}
		current = value
	}
	final, err := finish(e, current, b)
	if err != nil {
		return r, err
	}
	r.Final = final
	return r, nil
}

// answerSize returns the size of a decoded answer, at most MaxSize.
func answerSize(raw any) int64 {
	left := MaxSize
	_ = measure(raw, &left) // what is larger counts as MaxSize
	return int64(MaxSize - left)
}

// finish returns the result as text: a string as it is, anything else as JSON.
func finish(e domain.Endpoint, current any, b *budget) (string, error) {
	var final string
	if e.ResultTemplate != "" {
		t, err := parseTemplate(e.ResultTemplate)
		if err == nil {
			final, err = t.fill(current, b)
		}
		if err != nil {
			return "", fmt.Errorf("result_template: %w", err)
		}
	} else {
		size := b.maxSize
		err := measure(current, &size)
		if err == nil {
			final, err = asText(current)
		}
		if err != nil {
			return "", fmt.Errorf("the result: %w", err)
		}
	}
	if lengthOf(final) > b.maxSize {
		return "", fmt.Errorf("the result: %w", ErrTooMuch)
	}
	return shortened(e, final), nil
}

// shortened returns a result with at most max_result_length characters.
func shortened(e domain.Endpoint, result string) string {
	if e.MaxResultLength > 0 && utf8.RuneCountInString(result) > e.MaxResultLength {
		return string([]rune(result)[:e.MaxResultLength])
	}
	return result
}

// evaluate compiles path and evaluates it on decoded JSON.
func evaluate(path string, data any, b *budget) (any, error) {
	e, err := compile(path)
	if err != nil {
		return nil, err
	}
	return e.search(data, b)
}

// asText returns a value as text: a string raw, anything else as JSON.
func asText(v any) (string, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	return jsonvalue.Compact(v)
}
