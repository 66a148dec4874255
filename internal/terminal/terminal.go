// Package terminal formats what commands show to operators. Text of callers can't
// control the terminal, and progress goes to a stream of its own at most once a
// second.
package terminal

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/seed677028b5/integrations/domain"
)

// maxJSON bounds what ShortJSON returns, in characters.
const maxJSON = 100

// Printable returns text with every control character replaced.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// ShortJSON returns v as JSON, truncated to 100 characters.
func ShortJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if text := []rune(string(data)); len(text) > maxJSON {
		return string(text[:maxJSON]) + "…"
	}
	return string(data)
}

// OperatorError returns err with its cause. Callers of the API see the message
// only; an operator may see both.
func OperatorError(err error) error {
	refusal, ok := errors.AsType[*domain.Error](err)
	if !ok || refusal.Unwrap() == nil || strings.Contains(err.Error(), refusal.Unwrap().Error()) {
		return err
	}
	return fmt.Errorf("%w: %w", err, refusal.Unwrap())
}
