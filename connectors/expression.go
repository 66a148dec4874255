package connectors

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jmespath-community/go-jmespath/pkg/functions"
	"github.com/jmespath-community/go-jmespath/pkg/interpreter"
	"github.com/jmespath-community/go-jmespath/pkg/parsing"

	"github.com/seed677028b5/integrations/admission"
)

// expression is a compiled JMESPath expression that can't run away: what it
// does is metered.
type expression struct{ node parsing.ASTNode }

// compile compiles a JMESPath expression (community edition).
func compile(text string) (expression, error) {
	node, err := parsing.NewParser().Parse(text)
	if err != nil {
		return expression{}, fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "SyntaxError: "))
	}
	return expression{metered(node)}, nil
}

// jmespathFunctions is JMESPath's own table.
var jmespathFunctions = interpreter.NewFunctionCaller(functions.GetDefaultFunctions()...) //nolint:gochecknoglobals // a table that is only read

// search evaluates e on JSON made computable, which it leaves as it is, and
// takes what that costs off m. A path that leads nowhere is nil.
func (e expression) search(data any, m *meter) (result any, err error) {
	defer func() {
		if recovered := recover(); recovered != nil {
			result, err = nil, errors.New("the expression can't be evaluated on this answer")
		}
	}()
	result, err = interpreter.NewInterpreter(data, m, nil).Execute(e.node, data)
	if m.left < 0 {
		return nil, errTooMuch
	}
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	size := m.most
	if err := settled(result, &size); err != nil {
		return nil, err
	}
	return result, nil
}

// computable returns a copy of decoded JSON with the numbers as expressions
// compute with them, where that does not change them. Others, such as an id of
// twenty digits, stay as they are written: they can be picked, not compared.
func computable(v any) any {
	switch v := v.(type) {
	case json.Number:
		if f, ok := exact(v.String()); ok {
			return f
		}
	case []any:
		copied := make([]any, len(v))
		for n := range v {
			copied[n] = computable(v[n])
		}
		return copied
	case map[string]any:
		copied := make(map[string]any, len(v))
		for key := range v {
			copied[key] = computable(v[key])
		}
		return copied
	}
	return v
}

// exact returns the number that text means if a float64 holds it: fifteen
// digits always fit, more may.
func exact(text string) (float64, bool) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		return 0, false
	}
	if shortest, err := json.Marshal(f); err == nil && string(shortest) == text {
		return f, true
	}
	mantissa, _, _ := strings.Cut(strings.ToLower(text), "e")
	digits := strings.Trim(strings.Replace(strings.TrimPrefix(mantissa, "-"), ".", "", 1), "0")
	subnormal := math.Abs(f) < 1e-300 && digits != ""
	return f, len(digits) <= 15 && !subnormal
}

// mostShaped is how large, in values and in bytes of JSON, a result may be, however
// large the answer is that it is made of.
const mostShaped = 8 << 20

// mostOf is how large what is made of an answer may be: expressions pick and
// arrange, so it is not much larger than the answer. That is what a call is
// let in for.
func mostOf(size int64) int { return int(min(mostShaped, admission.FreeBytes+4*size)) }

// settled makes sure that v is plain JSON, and not large beyond reason: shared
// parts make a small value a huge document.
func settled(v any, left *int) error {
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
			if err := settled(element, left); err != nil {
				return err
			}
		}
	case map[string]any:
		for key, member := range v {
			*left -= lengthOf(key)
			if err := settled(member, left); err != nil {
				return err
			}
		}
	default:
		return errors.New("the expression does not lead to a value")
	}
	if *left < 0 {
		return errTooMuch
	}
	return nil
}

// lengthOf is how many bytes of JSON a text takes at most.
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
