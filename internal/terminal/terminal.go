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
	"unicode/utf16"

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

// ShortJSON returns v as JSON, truncated to 100 characters. Those that can't be printed are escaped.
func ShortJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	text := []rune(escaped(string(data)))
	if len(text) > maxJSON {
		return string(text[:maxJSON]) + "…"
	}
	return string(text)
}

// escaped returns JSON with every character that can't be printed escaped.
func escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
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
