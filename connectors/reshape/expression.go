package reshape

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/jmespath-community/go-jmespath/pkg/interpreter"
	"github.com/jmespath-community/go-jmespath/pkg/parsing"

	"github.com/seed677028b5/integrations/admission"
)

// expression is a compiled JMESPath expression that can't run away: what it
// does is withCounting.
type expression struct{ node parsing.ASTNode }

// maxText is how long an expression may be, in bytes. What compiling takes grows with it.
const maxText = 16 << 10

// compile compiles a JMESPath expression (community edition).
func compile(text string) (expression, error) {
	if len(text) > maxText {
		return expression{}, fmt.Errorf("it has more than %d bytes", maxText)
	}
	node, err := parsing.NewParser().Parse(text)
	if err != nil {
		return expression{}, fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "SyntaxError: "))
	}
	return expression{withCounting(node, exactLiterals(text))}, nil
}

// search evaluates e on decoded JSON, which it does not change, within b. A path
// that leads nowhere is nil.
func (e expression) search(data any, b *budget) (result any, err error) {
	defer func() {
		if recovered := recover(); recovered != nil {
			result, err = nil, errors.New("the expression can't be evaluated on this answer")
		}
	}()
	result, err = interpreter.NewInterpreter(data, b, b.bindings).Execute(e.node, data)
	if b.left < 0 {
		return nil, ErrTooMuch
	}
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	size := b.maxSize
	if err := measure(result, &size); err != nil {
		return nil, err
	}
	return result, nil
}

// MaxSize limits the size of a result, in bytes of JSON and in values, whatever the
// size of the answer.
const MaxSize = 8 << 20

// MaxResult limits the size of a result by the size of its answer: expressions pick
// and arrange, so a result is not much larger. Calls are admitted for that much.
func MaxResult(answer int64) int { return int(min(MaxSize, admission.FreeBytes+4*answer)) }

// measure subtracts the size of v as JSON from left, and returns an error when v is
// not plain JSON or nothing is left: shared parts make a small value a huge document.
func measure(v any, left *int) error {
	*left -= 8
	switch v := v.(type) {
	case nil, bool:
	case json.Number:
		*left -= len(v)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("the expression divides by zero")
		}
	case string:
		*left -= lengthOf(v)
	case []any:
		for _, element := range v {
			if err := measure(element, left); err != nil {
				return err
			}
		}
	case map[string]any:
		for key, member := range v {
			*left -= lengthOf(key)
			if err := measure(member, left); err != nil {
				return err
			}
		}
	default:
		return errors.New("the expression does not lead to a value")
	}
	if *left < 0 {
		return ErrTooMuch
	}
	return nil
}

// Size returns the size of decoded JSON values together, in bytes of JSON at most.
func Size(values ...any) int64 {
	left := math.MaxInt
	for _, v := range values {
		_ = measure(v, &left) // nothing is larger
	}
	return int64(math.MaxInt - left)
}

// lengthOf returns how many bytes of JSON a text takes at most.
func lengthOf(s string) int {
	size := len(s)
	for _, r := range s {
		switch {
		case r == '"', r == '\\':
			size++
		case r < ' ', r == 0x7f, r == utf8.RuneError, r == '\u2028', r == '\u2029':
			size += len(`\u0000`) - 1
		}
	}
	return size
}
