package jsonschema

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/seed677028b5/integrations/domain"
)

// What a schema may cost: to compile it, and to validate the parameters of one call
// by it. A unit is about a tenth of a microsecond.
const (
	maxCompileWork  = 10_000_000
	maxValidateWork = 5_000_000

	maxSchemaValues = 20_000 // of a document, whatever they are
	maxPatternSize  = 10_000 // instructions of one pattern, once its repetitions are written out
	maxDigits       = 400    // of a number, written out: larger ones take long to compare

	visitWork   = 10 // of validating one value by one schema
	numberWork  = 20 // of comparing two numbers
	patternWork = 50 // of compiling one instruction
)

// budget counts what a schema costs. The validator can't be stopped, so beyond the
// limit, and when its context ends, budget panics with ErrTooMuch.
type budget struct {
	ctx       context.Context
	left      int
	unchecked int // units since ctx was looked at
}

func (b *budget) charge(units int) {
	b.left -= units
	b.unchecked += units
	if b.left < 0 {
		panic(ErrTooMuch)
	}
	if b.unchecked > 1<<14 {
		b.unchecked = 0
		if b.ctx.Err() != nil {
			panic(ErrTooMuch)
		}
	}
}

// bounded runs do with so much work, and returns ErrTooMuch when that is not
// enough or ctx ends.
func (b *budget) bounded(ctx context.Context, units int, do func() error) (err error) {
	b.ctx, b.left, b.unchecked = ctx, units, 0
	defer func() {
		switch recovered := recover(); recovered {
		case nil:
		case any(ErrTooMuch):
			err = ErrTooMuch
		default:
			panic(recovered)
		}
	}()
	return do()
}

// pattern is a regular expression that charges for what it matches.
type pattern struct {
	*regexp.Regexp
	size   int
	budget *budget
}

// MatchString implements jsonschema.Regexp.
func (p pattern) MatchString(s string) bool {
	p.budget.charge(1 + p.size*len(s)/20)
	return p.Regexp.MatchString(s)
}

// compilePattern implements jsonschema.RegexpEngine.
func (b *budget) compilePattern(text string) (jsonschema.Regexp, error) {
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, err
	}
	size := patternSize(parsed)
	if size > maxPatternSize {
		return nil, fmt.Errorf("it is too large: its repetitions multiply")
	}
	b.charge(patternWork * size)
	compiled, err := regexp.Compile(text)
	if err != nil {
		return nil, err
	}
	return pattern{compiled, size, b}, nil
}

// patternSize is about how many instructions a regular expression has once its
// repetitions are written out, as they will be.
func patternSize(re *syntax.Regexp) int {
	size := 1 + len(re.Rune)/8
	for _, sub := range re.Sub {
		size += patternSize(sub)
	}
	if re.Op == syntax.OpRepeat {
		size *= max(re.Max, re.Min+1)
	}
	return min(size, 1<<30)
}

// weighed makes a compiled schema, and all that it leads to, charge for what it
// costs before it does the work.
type weighed struct {
	budget *budget
	done   map[*jsonschema.Schema]bool
}

// weigh puts the charge where the validator calls before it goes on to the parts
// of a value: into the format. What a schema refuses before that, by its type or
// by enum, is charged by the schema that leads to it.
func (w weighed) weigh(s *jsonschema.Schema) {
	if s == nil || w.done[s] {
		return
	}
	w.done[s] = true
	same, onMembers, onElements := children(s)
	for _, all := range [][]*jsonschema.Schema{same, onMembers, onElements} {
		for _, child := range all {
			w.weigh(child)
		}
	}
	for _, child := range s.Properties {
		w.weigh(child)
	}
	if s.Bool != nil {
		return
	}
	onSame, onMember, onElement := entries(same), entries(onMembers), entries(onElements)
	format := jsonschema.Format{Validate: func(any) error { return nil }}
	if s.Format != nil {
		format = *s.Format
	}
	check := format.Validate
	format.Validate = func(v any) error {
		units := visitWork + onSame
		switch v := v.(type) {
		case map[string]any:
			units += len(v) * (1 + onMember)
			for name := range v {
				if child := s.Properties[name]; child != nil {
					units += entry(child)
				}
			}
		case []any:
			units += len(v) * (1 + onElement)
			if s.UniqueItems {
				units += numberWork * values(v)
			}
		case string:
			units += len(v) / 16
		case json.Number:
			units += numberWork
		}
		w.budget.charge(units)
		return check(v)
	}
	s.Format = &format
}

// children returns the schemas that s leads to: for the value itself, for each of
// its members, and for each of its elements.
func children(s *jsonschema.Schema) (same, onMembers, onElements []*jsonschema.Schema) {
	same = slices.Concat(s.AllOf, s.AnyOf, s.OneOf, s.PrefixItems, []*jsonschema.Schema{s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else, s.ContentSchema})
	if s.DynamicRef != nil {
		same = append(same, s.DynamicRef.Ref)
	}
	for _, dependent := range s.DependentSchemas {
		same = append(same, dependent)
	}
	for _, dependent := range s.Dependencies {
		if schema, ok := dependent.(*jsonschema.Schema); ok {
			same = append(same, schema)
		}
	}
	onMembers = []*jsonschema.Schema{s.PropertyNames, s.UnevaluatedProperties}
	for _, schema := range s.PatternProperties {
		onMembers = append(onMembers, schema)
	}
	if schema, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
		onMembers = append(onMembers, schema)
	}
	onElements = []*jsonschema.Schema{s.Contains, s.Items2020, s.UnevaluatedItems}
	for _, items := range []any{s.Items, s.AdditionalItems} {
		switch items := items.(type) {
		case *jsonschema.Schema:
			onElements = append(onElements, items)
		case []*jsonschema.Schema:
			same = append(same, items...)
		}
	}
	return same, onMembers, onElements
}

func entries(all []*jsonschema.Schema) int {
	units := 0
	for _, s := range all {
		units += entry(s)
	}
	return units
}

// entry is what a schema costs before it charges by itself.
func entry(s *jsonschema.Schema) int {
	if s == nil {
		return 0
	}
	units := visitWork
	if s.Enum != nil {
		for _, v := range s.Enum.Values {
			units += comparing(v)
		}
	}
	if s.Const != nil {
		units += comparing(*s.Const)
	}
	return units
}

// comparing is what it costs to compare something with v.
func comparing(v any) int {
	if _, ok := v.(json.Number); ok {
		return numberWork
	}
	return values(v)
}

// values counts the values in v, and the longer texts for more.
func values(v any) int {
	n := 1
	switch v := v.(type) {
	case string:
		n += len(v) / 64
	case []any:
		for _, element := range v {
			n += values(element)
		}
	case map[string]any:
		for name, member := range v {
			n += 1 + len(name)/64 + values(member)
		}
	}
	return n
}

// longNumber returns the JSON pointer of a number with more digits than can be
// compared in reasonable time, such as 1e-999999.
func longNumber(v any, at string) (string, bool) {
	switch v := v.(type) {
	case json.Number:
		_, exponent, _ := strings.Cut(strings.ToLower(v.String()), "e")
		n, err := strconv.Atoi(strings.TrimPrefix(exponent, "+"))
		return at, len(v) > maxDigits || exponent != "" && (err != nil || n > maxDigits || n < -maxDigits)
	case []any:
		for n, element := range v {
			if place, found := longNumber(element, at+"/"+strconv.Itoa(n)); found {
				return place, true
			}
		}
	case map[string]any:
		for name, member := range v {
			if place, found := longNumber(member, at+"/"+domain.EscapePointer(name)); found {
				return place, true
			}
		}
	}
	return "", false
}
