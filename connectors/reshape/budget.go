package reshape

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jmespath-community/go-jmespath/pkg/binding"
	"github.com/jmespath-community/go-jmespath/pkg/parsing"
)

// ErrTooMuch is returned for an expression that multiplies its data.
var ErrTooMuch = errors.New("the expression makes too much of this answer")

// maxWork limits the steps that all expressions of an endpoint take on one answer.
const maxWork = 8 << 20

// Functions that are put into the tree of an expression where JMESPath calls none.
// No expression can write such a name.
const (
	countStep = "\x00count"
	equal     = "\x00equal"
	unequal   = "\x00unequal"
)

// withCounting returns the tree of an expression in which everything that is done
// for each element, or creates a value, is a function call and so is counted. So is what
// is computed with numbers. Literals are the numbers that a float64 does not hold.
func withCounting(node parsing.ASTNode, literals map[float64]json.Number) parsing.ASTNode {
	children := make([]parsing.ASTNode, len(node.Children))
	for n, child := range node.Children {
		children[n] = withCounting(child, literals)
	}
	node.Children = children
	counted := func(n parsing.ASTNode) parsing.ASTNode {
		return parsing.ASTNode{NodeType: parsing.ASTFunctionExpression, Value: countStep, Children: []parsing.ASTNode{n}}
	}
	switch node.NodeType {
	case parsing.ASTProjection, parsing.ASTValueProjection, parsing.ASTFilterProjection:
		for n := 1; n < len(children); n++ {
			children[n] = counted(children[n])
		}
	case parsing.ASTExpRef:
		children[0] = counted(children[0])
	case parsing.ASTFlatten, parsing.ASTMultiSelectHash, parsing.ASTMultiSelectList:
		return counted(node)
	case parsing.ASTComparator:
		switch node.Value {
		case parsing.TOKEQ:
			return parsing.ASTNode{NodeType: parsing.ASTFunctionExpression, Value: equal, Children: children}
		case parsing.TOKNE:
			return parsing.ASTNode{NodeType: parsing.ASTFunctionExpression, Value: unequal, Children: children}
		}
		return computed(node)
	case parsing.ASTArithmeticExpression, parsing.ASTArithmeticUnaryExpression:
		return computed(node)
	case parsing.ASTLiteral:
		node.Value = withExact(node.Value, literals)
	default:
	}
	return node
}

// computed returns a comparison or an arithmetic expression as a call of its function.
func computed(node parsing.ASTNode) parsing.ASTNode {
	token, _ := node.Value.(parsing.TokType)
	return parsing.ASTNode{NodeType: parsing.ASTFunctionExpression, Value: operator(token), Children: node.Children}
}

// budget calls the functions of expressions and counts what they touch. Below
// zero, everything fails with ErrTooMuch.
type budget struct {
	ctx     context.Context
	left    int
	next    int // ctx is checked again when this much is left
	maxSize int // limit of the size of a result
	made    int // bytes of the texts that functions created, of intermediate values too

	bindings binding.Bindings // the variables that are defined; nil: none
}

func newBudget(ctx context.Context) *budget {
	return &budget{ctx: ctx, left: maxWork, next: maxWork, maxSize: MaxSize}
}

// CallFunction implements interpreter.FunctionCaller.
func (b *budget) CallFunction(name string, args []any) (any, error) {
	for _, arg := range args {
		b.count(arg)
	}
	switch name {
	case countStep:
		return args[0], b.over()
	case equal, unequal:
		same := b.same(args[0], args[1])
		return same == (name == equal), b.over()
	}
	if err := b.over(); err != nil {
		return nil, err
	}
	result, err := b.call(name, args)
	switch {
	case err != nil && (errors.Is(err, ErrTooMuch) || b.ctx.Err() != nil):
		return nil, err
	case err != nil && name[0] == 0: // an operator
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	b.count(result)
	return result, b.over()
}

func (b *budget) call(name string, args []any) (any, error) {
	if err := checkArguments(name, args); err != nil {
		return nil, err
	}
	if n := len(signatures[name]); n == 0 || n == len(args) {
		if result, known, err := compute(name, args); known {
			return result, err
		}
	}
	args, err := asFloats(name, args)
	if err != nil {
		return nil, err
	}
	switch name {
	case "contains":
		if elements, ok := firstArgument[[]any](args); ok && len(args) == 2 {
			return b.contains(elements, args[1]), b.over()
		}
	case "to_string":
		if len(args) == 1 {
			size := b.maxSize
			if err := measure(args[0], &size); err != nil {
				return nil, err
			}
			b.left -= (b.maxSize - size) / 2
		}
	default:
		size := resultSize(name, args)
		b.left -= size / 64
		if b.made += size; b.made > 4*b.maxSize { // before it is in memory
			return nil, ErrTooMuch
		}
	}
	if err := b.over(); err != nil {
		return nil, err
	}
	return jmespathFunctions.CallFunction(name, args) //nolint:wrapcheck // CallFunction does
}

// over returns ErrTooMuch when the budget is spent, and the error of ctx when that ends.
func (b *budget) over() error {
	if b.left < 0 {
		return ErrTooMuch
	}
	if b.left < b.next {
		b.next = b.left - 1<<14
		return b.ctx.Err() //nolint:wrapcheck // the caller compares it
	}
	return nil
}

func (b *budget) count(v any) {
	b.left--
	switch v := v.(type) {
	case string:
		b.left -= len(v) / 64
	case []any:
		b.left -= len(v)
	case map[string]any:
		b.left -= len(v)
	}
}

// resultSize returns how many bytes a function creates that can create a long text
// from short ones.
func resultSize(name string, args []any) int {
	length := func(n int) int {
		if n < len(args) {
			if s, ok := args[n].(string); ok {
				return len(s)
			}
		}
		return 0
	}
	switch name {
	case "pad_left", "pad_right":
		if len(args) > 1 {
			if width, ok := args[1].(float64); ok {
				return 4 * int(min(width, 1<<40))
			}
		}
	case "replace":
		if subject, ok := firstArgument[string](args); ok && len(args) > 2 {
			old, _ := args[1].(string)
			return (strings.Count(subject, old) + 1) * length(2)
		}
	case "join":
		if len(args) == 2 {
			parts, _ := args[1].([]any)
			bytes := len(parts) * length(0)
			for _, part := range parts {
				s, _ := part.(string)
				bytes += len(s)
			}
			return bytes
		}
	}
	return 0
}

func (b *budget) contains(elements []any, wanted any) bool {
	for _, element := range elements {
		if b.same(element, wanted) {
			return true
		}
	}
	return false
}

// same reports whether two values are equal, one step for each part.
func (b *budget) same(x, y any) bool {
	if b.left--; b.left < 0 {
		return false
	}
	switch x := x.(type) {
	case nil, bool:
		return isScalar(y) && x == y
	case float64, json.Number:
		b.left -= len(written(x)) / 64
		return isNumber(y) && (x == y || decimalOf(x) == decimalOf(y))
	case string:
		other, ok := y.(string)
		if ok && len(x) == len(other) {
			b.left -= len(x) / 64
		}
		return ok && x == other
	case []any:
		other, ok := y.([]any)
		if !ok || len(x) != len(other) {
			return false
		}
		for n := range x {
			if !b.same(x[n], other[n]) {
				return false
			}
		}
		return true
	case map[string]any:
		other, ok := y.(map[string]any)
		if !ok || len(x) != len(other) {
			return false
		}
		for key, member := range x {
			if theirs, has := other[key]; !has || !b.same(member, theirs) {
				return false
			}
		}
		return true
	}
	return false
}

// isScalar reports whether v can be compared with ==.
func isScalar(v any) bool {
	switch v.(type) {
	case nil, bool, float64, json.Number, string:
		return true
	}
	return false
}

func firstArgument[T any](args []any) (value T, ok bool) {
	if len(args) > 0 {
		value, ok = args[0].(T)
	}
	return value, ok
}
