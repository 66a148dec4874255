package reshape

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// errInexact is returned where arithmetic would round a number of the answer.
var errInexact = errors.New("a number has more digits than can be computed with; it can be picked, compared and sorted")

// maxDigits limits the integers that are computed with.
const maxDigits = 1000

// exactLimit is from where on a float64 does not hold every integer.
const exactLimit = 1 << 53

// decimal is a number as 0.digits times ten to the power of exponent.
type decimal struct {
	negative bool
	digits   string // without zeros at its ends; "": 0
	exponent int64
}

func isNumber(v any) bool {
	switch v.(type) {
	case float64, json.Number:
		return true
	}
	return false
}

// written returns a number as text.
func written(v any) string {
	switch v := v.(type) {
	case json.Number:
		return v.String()
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return ""
}

func decimalOf(v any) decimal {
	text, negative := strings.CutPrefix(strings.ToLower(written(v)), "-")
	mantissa, power, _ := strings.Cut(text, "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	exponent, _ := strconv.ParseInt(power, 10, 40) // what is out of range becomes the limit
	digits := strings.TrimLeft(whole+fraction, "0")
	exponent += int64(len(whole) - (len(whole) + len(fraction) - len(digits)))
	digits = strings.TrimRight(digits, "0")
	if digits == "" {
		return decimal{}
	}
	return decimal{negative, digits, exponent}
}

// compare returns -1, 0 or 1, as d is less than other, equal or more.
func (d decimal) compare(other decimal) int {
	switch {
	case d == other:
		return 0
	case d.digits == "":
		return -sign(other)
	case other.digits == "" || d.negative != other.negative:
		return sign(d)
	case d.exponent > other.exponent, d.exponent == other.exponent && d.digits > other.digits:
		return sign(d)
	}
	return -sign(d)
}

// sign returns -1 or 1.
func sign(d decimal) int {
	if d.negative {
		return -1
	}
	return 1
}

// float returns a number as a float64, if that holds it.
func float(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case json.Number:
		return exact(v.String())
	}
	return 0, false
}

// exact returns the number in text if a float64 holds it: fifteen digits always fit,
// more may.
func exact(text string) (float64, bool) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		return 0, false
	}
	d := decimalOf(json.Number(text))
	subnormal := math.Abs(f) < 1e-300 && d.digits != ""
	return f, len(d.digits) <= 15 && !subnormal || d == decimalOf(f)
}

// integer returns a number as an integer, if it is one of at most maxDigits digits.
func integer(v any) (*big.Int, bool) {
	text := written(v)
	if f, ok := v.(float64); ok {
		text = strconv.FormatFloat(f, 'f', -1, 64)
	}
	if len(text) > maxDigits || strings.ContainsAny(text, ".eE") {
		return nil, false
	}
	return new(big.Int).SetString(text, 10)
}

// calculate returns what an operator makes of two numbers, nil when one is none. Floats
// are used where they hold both numbers and the result; integers of any length can be
// added, subtracted and multiplied.
func calculate(x, y any, floats func(x, y float64) float64, integers func(z, x, y *big.Int) *big.Int) (any, error) {
	if !isNumber(x) || !isNumber(y) {
		return nil, nil
	}
	a, okA := float(x)
	b, okB := float(y)
	if okA && okB {
		if result := floats(a, b); integers == nil || math.Abs(result) < exactLimit {
			return result, nil
		}
	}
	if integers != nil {
		m, okM := integer(x)
		n, okN := integer(y)
		if okM && okN {
			return json.Number(integers(new(big.Int), m, n).String()), nil
		}
	}
	if okA && okB {
		return floats(a, b), nil
	}
	return nil, errInexact
}

// sum returns the sum of numbers.
func sum(numbers []any) (any, error) {
	total := any(float64(0))
	for _, n := range numbers {
		var err error
		if total, err = calculate(total, n, func(x, y float64) float64 { return x + y }, (*big.Int).Add); err != nil {
			return nil, err
		}
	}
	return total, nil
}

// rounded returns a number rounded to an integer.
func rounded(v any, floats func(float64) float64) (any, error) {
	if _, ok := integer(v); ok {
		return v, nil
	}
	f, ok := float(v)
	if !ok {
		return nil, errInexact
	}
	return floats(f), nil
}

// exactLiterals returns the numbers in the literals of an expression that a float64 does
// not hold, by the float64 that the parser makes of them.
func exactLiterals(text string) map[float64]json.Number {
	found, ambiguous := map[float64]json.Number{}, []float64(nil)
	for n, part := range strings.Split(text, "`") {
		if n%2 == 0 {
			continue
		}
		for _, token := range strings.FieldsFunc(part, func(r rune) bool { return !strings.ContainsRune("+-.0123456789eE", r) }) {
			f, err := strconv.ParseFloat(token, 64)
			if err != nil || math.IsInf(f, 0) {
				continue
			}
			if other, known := found[f]; known && other != json.Number(token) {
				ambiguous = append(ambiguous, f)
			}
			found[f] = json.Number(token)
		}
	}
	for f, n := range found {
		if _, holds := exact(n.String()); holds || slices.Contains(ambiguous, f) || !json.Valid([]byte(n)) {
			delete(found, f)
		}
	}
	return found
}

// withExact returns a literal with its numbers as they are written.
func withExact(v any, literals map[float64]json.Number) any {
	switch v := v.(type) {
	case float64:
		if n, ok := literals[v]; ok {
			return n
		}
	case []any:
		for n := range v {
			v[n] = withExact(v[n], literals)
		}
	case map[string]any:
		for name := range v {
			v[name] = withExact(v[name], literals)
		}
	}
	return v
}
