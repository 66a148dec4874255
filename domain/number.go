package domain

import (
	"encoding/json"
	"strings"
)

// WholeNumber returns the value of a whole number in any spelling of JSON: 3, 3.0 and 3e0.
func WholeNumber(n json.Number) (value int64, whole bool) {
	if value, err := n.Int64(); err == nil {
		return value, true
	}
	const exact = 1 << 53 // up to which a float64 holds every whole number
	f, err := n.Float64()
	if err != nil || f >= exact || f <= -exact || f != float64(int64(f)) {
		return 0, false
	}
	return int64(f), true
}

func wholeNumber(v any) (value int64, whole bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	return WholeNumber(n)
}

// plainNumbers returns a decoded JSON value in which a number has one spelling: clients that
// send back what they read write 1.50 as 1.5, and 1e3 as 1000 or 1000.0.
func plainNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		plain := make(map[string]any, len(v))
		for name, member := range v {
			plain[name] = plainNumbers(member)
		}
		return plain
	case []any:
		plain := make([]any, len(v))
		for n, element := range v {
			plain[n] = plainNumbers(element)
		}
		return plain
	case json.Number:
		if whole, is := WholeNumber(v); is {
			return whole
		}
		if f, err := v.Float64(); err == nil && strings.ContainsAny(v.String(), ".eE") {
			return f
		}
	}
	return v
}
