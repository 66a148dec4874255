package connectors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jmespath-community/go-jmespath/pkg/parsing"
)

// errTooMuch stops an expression that multiplies its data.
var errTooMuch = errors.New("the expression makes too much of this answer")

// mostWork is how many steps the expressions of an endpoint may take on one
// answer, all together.
const mostWork = 8 << 20

// These stand in the tree of an expression where JMESPath has nothing to count
// with. No expression can write such a name.
const (
	countStep = "\x00count"
	equal     = "\x00equal"
	unequal   = "\x00unequal"
)

// metered returns the tree of an expression in which everything that is done
// per element, or makes something new, is a call, and so passes the meter.
func metered(node parsing.ASTNode) parsing.ASTNode {
	children := make([]parsing.ASTNode, len(node.Children))
	for n, child := range node.Children {
		children[n] = metered(child)
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
	default:
	}
	return node
}

// meter calls the functions of expressions and counts what they touch. Below
// zero nothing goes on.
type meter struct {
	ctx  context.Context
	left int
	next int // when this much is left, ctx is looked at again
	most int // how large what it makes may be
	made int // bytes of the texts that functions made longer, on the way to it too
}

func newMeter(ctx context.Context) *meter {
	return &meter{ctx: ctx, left: mostWork, next: mostWork, most: mostShaped}
}

// CallFunction implements interpreter.FunctionCaller.
func (m *meter) CallFunction(name string, args []any) (any, error) {
	for _, arg := range args {
		m.count(arg)
	}
	switch name {
	case countStep:
		return args[0], m.over()
	case equal, unequal:
		same := m.same(args[0], args[1])
		return same == (name == equal), m.over()
	case "contains":
		if elements, ok := first[[]any](args); ok && len(args) == 2 {
			return m.contains(elements, args[1]), m.over()
		}
	case "sort_by": // which would sort the answer itself
		if elements, ok := first[[]any](args); ok {
			args = append([]any{slices.Clone(elements)}, args[1:]...)
		}
	case "to_string":
		if len(args) == 1 {
			size := m.most
			if err := settled(args[0], &size); err != nil {
				return nil, err
			}
			m.left -= (m.most - size) / 2
		}
	default:
		size := grown(name, args)
		m.left -= size / 64
		if m.made += size; m.made > 4*m.most { // before it is in memory
			return nil, errTooMuch
		}
	}
	if err := m.over(); err != nil {
		return nil, err
	}
	result, err := jmespathFunctions.CallFunction(name, args)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	m.count(result)
	return result, m.over()
}

// over returns why nothing may go on: too much was done, or ctx is done.
func (m *meter) over() error {
	if m.left < 0 {
		return errTooMuch
	}
	if m.left < m.next {
		m.next = m.left - 1<<14
		return m.ctx.Err() //nolint:wrapcheck // the caller tells it from others
	}
	return nil
}

func (m *meter) count(v any) {
	m.left--
	switch v := v.(type) {
	case string:
		m.left -= len(v) / 64
	case []any:
		m.left -= len(v)
	case map[string]any:
		m.left -= len(v)
	}
}

// grown returns the bytes of what the functions make that can make much of
// little.
func grown(name string, args []any) int {
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
		if subject, ok := first[string](args); ok && len(args) > 2 {
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

func (m *meter) contains(elements []any, wanted any) bool {
	for _, element := range elements {
		if m.same(element, wanted) {
			return true
		}
	}
	return false
}

// same reports whether two values are alike, each part looked at for a step.
func (m *meter) same(a, b any) bool {
	if m.left--; m.left < 0 {
		return false
	}
	switch a := a.(type) {
	case nil, bool, float64, json.Number:
		return isScalar(b) && a == b
	case string:
		other, ok := b.(string)
		if ok && len(a) == len(other) {
			m.left -= len(a) / 64
		}
		return ok && a == other
	case []any:
		other, ok := b.([]any)
		if !ok || len(a) != len(other) {
			return false
		}
		for n := range a {
			if !m.same(a[n], other[n]) {
				return false
			}
		}
		return true
	case map[string]any:
		other, ok := b.(map[string]any)
		if !ok || len(a) != len(other) {
			return false
		}
		for key, member := range a {
			if theirs, has := other[key]; !has || !m.same(member, theirs) {
				return false
			}
		}
		return true
	}
	return false
}

// isScalar reports whether == can be asked of v.
func isScalar(v any) bool {
	switch v.(type) {
	case nil, bool, float64, json.Number, string:
		return true
	}
	return false
}

func first[T any](args []any) (value T, ok bool) {
	if len(args) > 0 {
		value, ok = args[0].(T)
	}
	return value, ok
}
