package reshape

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"

	"github.com/jmespath-community/go-jmespath/pkg/functions"
	"github.com/jmespath-community/go-jmespath/pkg/interpreter"
	"github.com/jmespath-community/go-jmespath/pkg/parsing"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
)

// jmespathFunctions is JMESPath's own table.
var jmespathFunctions = interpreter.NewFunctionCaller(functions.GetDefaultFunctions()...) //nolint:gochecknoglobals // a table that is only read

// signatures has the arguments of JMESPath's functions.
var signatures = func() map[string][]functions.ArgSpec { //nolint:gochecknoglobals // a table that is only read
	table := map[string][]functions.ArgSpec{}
	for _, f := range functions.GetDefaultFunctions() {
		table[f.Name] = f.Arguments
	}
	return table
}()

// operators are the operators of JMESPath on two numbers.
var operators = map[string]struct {
	floats   func(x, y float64) float64
	integers func(z, x, y *big.Int) *big.Int
}{
	operator(parsing.TOKPlus):     {func(x, y float64) float64 { return x + y }, (*big.Int).Add},
	operator(parsing.TOKMinus):    {func(x, y float64) float64 { return x - y }, (*big.Int).Sub},
	operator(parsing.TOKStar):     {func(x, y float64) float64 { return x * y }, (*big.Int).Mul},
	operator(parsing.TOKMultiply): {func(x, y float64) float64 { return x * y }, (*big.Int).Mul},
	operator(parsing.TOKDivide):   {func(x, y float64) float64 { return x / y }, nil},
	operator(parsing.TOKModulo):   {math.Mod, nil},
	operator(parsing.TOKDiv):      {func(x, y float64) float64 { return math.Floor(x / y) }, nil},
}

// comparisons are the comparisons of JMESPath that order two numbers.
var comparisons = map[string]func(order int) bool{
	operator(parsing.TOKLT):  func(order int) bool { return order < 0 },
	operator(parsing.TOKLTE): func(order int) bool { return order <= 0 },
	operator(parsing.TOKGT):  func(order int) bool { return order > 0 },
	operator(parsing.TOKGTE): func(order int) bool { return order >= 0 },
}

// operator returns the name of the function that stands for an operator. No expression
// can write it.
func operator(token parsing.TokType) string { return fmt.Sprintf("\x00%d", token) }

// compute calls what computes with numbers, which the library does with float64 only. It
// reports whether name is one of those.
func compute(name string, args []any) (result any, known bool, err error) {
	if compares, ok := comparisons[name]; ok {
		if !isNumber(args[0]) || !isNumber(args[1]) {
			return nil, true, nil
		}
		return compares(decimalOf(args[0]).compare(decimalOf(args[1]))), true, nil
	}
	if o, ok := operators[name]; ok {
		if len(args) == 1 { // a sign
			args = []any{float64(0), args[0]}
		}
		result, err = calculate(args[0], args[1], o.floats, o.integers)
		return result, true, err
	}
	switch name {
	case "sum":
		result, err = sum(args[0].([]any))
	case "avg":
		result, err = average(args[0].([]any))
	case "max", "min", "sort":
		result, err = ordered(name, args[0].([]any), nil)
	case "max_by", "min_by", "sort_by":
		result, err = ordered(strings.TrimSuffix(name, "_by"), args[0].([]any), args[1].(functions.ExpRef))
	case "abs":
		result = json.Number(strings.TrimPrefix(written(args[0]), "-"))
		if f, ok := args[0].(float64); ok {
			result = math.Abs(f)
		}
	case "ceil":
		result, err = rounded(args[0], math.Ceil)
	case "floor":
		result, err = rounded(args[0], math.Floor)
	case "type":
		if !isNumber(args[0]) {
			return nil, false, nil
		}
		result = "number"
	case "to_number":
		text, _ := args[0].(string)
		if _, holds := exact(text); isNumber(args[0]) {
			result = args[0]
		} else if holds || text == "" || strings.Trim(text[:1], "-0123456789") != "" || !json.Valid([]byte(text)) {
			return nil, false, nil
		} else {
			result = json.Number(text)
		}
	default:
		return nil, false, nil
	}
	return result, true, err
}

func average(numbers []any) (any, error) {
	if len(numbers) == 0 {
		return nil, nil
	}
	total, err := sum(numbers)
	if err != nil {
		return nil, err
	}
	return calculate(total, float64(len(numbers)), func(x, y float64) float64 { return x / y }, nil)
}

// ordered returns the least element, the greatest or all in order, by themselves or by
// a key.
func ordered(name string, elements []any, by functions.ExpRef) (any, error) {
	if len(elements) < 2 && by != nil { // whatever their keys are
		if name == "sort" {
			return elements, nil
		}
		return jsonvalue.FirstElement(elements), nil
	}
	type keyed struct {
		element any
		text    string
		number  decimal
	}
	all := make([]keyed, len(elements))
	numbers := 0
	for n, element := range elements {
		key := element
		if by != nil {
			var err error
			if key, err = by(element); err != nil {
				return nil, err
			}
		}
		all[n].element = element
		switch text, isText := key.(string); {
		case isNumber(key):
			all[n].number = decimalOf(key)
			numbers++
		case isText:
			all[n].text = text
		default:
			return nil, fmt.Errorf("the keys must be strings or numbers, and one is %s", kindOf(key))
		}
	}
	if numbers > 0 && numbers < len(all) {
		return nil, errors.New("the keys must be all strings or all numbers")
	}
	order := func(x, y keyed) int {
		return cmp.Or(x.number.compare(y.number), strings.Compare(x.text, y.text))
	}
	switch {
	case name == "sort":
		slices.SortStableFunc(all, order)
		sorted := make([]any, len(all))
		for n := range all {
			sorted[n] = all[n].element
		}
		return sorted, nil
	case len(all) == 0:
		return nil, nil
	case name == "max":
		return slices.MaxFunc(all, order).element, nil
	}
	return slices.MinFunc(all, order).element, nil
}

// checkArguments returns what is wrong with the types of arguments, in words. It leaves
// their number to the library.
func checkArguments(name string, args []any) error {
	for n, arg := range args {
		kinds := kindsOf(name, n)
		if len(kinds) == 0 || slices.ContainsFunc(kinds, func(kind functions.JpType) bool { return isOf(kind, arg) }) {
			continue
		}
		var wanted []string
		for _, kind := range kinds {
			wanted = append(wanted, kindNames[kind])
		}
		return fmt.Errorf("argument %d must be %s, and is %s", n+1, strings.Join(wanted, " or "), kindOf(arg))
	}
	return nil
}

// asFloats returns arguments with the numbers as the library takes them.
func asFloats(name string, args []any) ([]any, error) {
	args = slices.Clone(args)
	for n, arg := range args {
		if number, is := arg.(json.Number); is && slices.Contains(kindsOf(name, n), functions.JpNumber) {
			f, ok := float(number)
			if !ok {
				return nil, errInexact
			}
			args[n] = f
		}
	}
	return args, nil
}

// kindsOf returns the types that a function takes as its argument n, none where any
// number of arguments is left to the library.
func kindsOf(name string, n int) []functions.JpType {
	specs := signatures[name]
	switch {
	case n < len(specs):
		return specs[n].Types
	case len(specs) > 0 && specs[len(specs)-1].Variadic:
		return specs[len(specs)-1].Types
	}
	return nil
}

var kindNames = map[functions.JpType]string{
	functions.JpNumber: "a number", functions.JpString: "a string", functions.JpArray: "an array", functions.JpObject: "an object",
	functions.JpArrayArray: "an array of arrays", functions.JpArrayNumber: "an array of numbers", functions.JpArrayString: "an array of strings",
	functions.JpExpref: "an expression such as &name", functions.JpAny: "anything",
}

// isOf reports whether v is of a type of JMESPath.
func isOf(kind functions.JpType, v any) bool {
	elements, isArray := v.([]any)
	each := func(kind functions.JpType) bool {
		return isArray && !slices.ContainsFunc(elements, func(element any) bool { return !isOf(kind, element) })
	}
	switch kind {
	case functions.JpNumber:
		return isNumber(v)
	case functions.JpString:
		_, is := v.(string)
		return is
	case functions.JpArray, functions.JpArrayArray:
		return isArray
	case functions.JpArrayNumber:
		return each(functions.JpNumber)
	case functions.JpArrayString:
		return each(functions.JpString)
	case functions.JpObject:
		_, is := v.(map[string]any)
		return is
	case functions.JpExpref:
		_, is := v.(functions.ExpRef)
		return is
	case functions.JpAny:
		return true
	}
	return false
}

// kindOf returns the type of a value in words.
func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case float64, json.Number:
		return "a number"
	case map[string]any:
		return "an object"
	case []any:
		if len(v) > 0 && slices.ContainsFunc(v, func(element any) bool { return kindOf(element) != kindOf(v[0]) }) {
			return "an array of several types"
		}
		if len(v) > 0 {
			return "an array of which each element is " + kindOf(v[0])
		}
		return "an empty array"
	}
	return "an expression"
}
