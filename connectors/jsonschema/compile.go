// Package jsonschema compiles the JSON Schemas of others, and validates parameters
// by them.
//
// Its promise: what a schema costs to compile and to validate by is bounded, ends
// with its context, and reads nothing but the schema.
package jsonschema

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

var (
	// ErrNotSchema is returned for a document that is not a JSON Schema.
	ErrNotSchema = errors.New("not a JSON Schema")
	// ErrTooMuch is returned when validating takes more work than one call may take.
	ErrTooMuch = errors.New("the schema takes too much work")
)

// schemaURL is the URL of the one document that a schema may refer to: itself.
const schemaURL = "schema:///input_schema"

// noLoader keeps a schema from reading files and calling out through $ref.
type noLoader struct{}

// Load always fails.
func (noLoader) Load(string) (any, error) {
	return nil, errors.New("a schema may refer to its own parts only")
}

// schema is a compiled JSON Schema. One call uses it at a time.
type schema struct {
	compiled *jsonschema.Schema
	budget   *budget
}

// validate returns a ValidationError, or ErrTooMuch, also when ctx ends.
func (s *schema) validate(ctx context.Context, params map[string]any) error {
	return s.budget.bounded(ctx, maxValidateWork, func() error {
		s.budget.charge(entry(s.compiled))
		return s.compiled.Validate(params) //nolint:wrapcheck // taken apart by the caller
	})
}

// compile compiles a JSON Schema, of draft 2020-12 unless it names another.
// What it costs is bounded, and it ends with ctx.
func compile(ctx context.Context, data []byte) (*schema, error) {
	if jsonvalue.CountMarks(data) > maxSchemaValues {
		return nil, fmt.Errorf("it has more than %d values", maxSchemaValues)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, errors.New("it is not JSON")
	}
	if place, found := longNumber(document, ""); found {
		return nil, fmt.Errorf("at %q: the number has too many digits", place)
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	c.DefaultDraft(jsonschema.Draft2020)
	budget := &budget{}
	c.UseRegexpEngine(budget.compilePattern)
	if err := c.AddResource(schemaURL, document); err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	var compiled *jsonschema.Schema
	err = budget.bounded(ctx, maxCompileWork, func() (err error) {
		compiled, err = c.Compile(schemaURL)
		return err //nolint:wrapcheck // taken apart below
	})
	switch {
	case err == nil:
		weighed{budget, map[*jsonschema.Schema]bool{}}.weigh(compiled)
		return &schema{compiled, budget}, nil
	case errors.Is(err, ErrTooMuch):
		return nil, errors.New("its patterns take too long")
	}
	var (
		invalid *jsonschema.SchemaValidationError
		load    *jsonschema.LoadURLError
		broken  *jsonschema.ValidationError
	)
	switch {
	case errors.As(err, &invalid) && errors.As(invalid.Err, &broken):
		var problems []string
		for _, p := range leaves(broken, "") {
			problems = append(problems, fmt.Sprintf("at %q: %s", p.Pointer, p.Detail))
		}
		return nil, errors.New(strings.Join(problems, "; "))
	case errors.As(err, &load):
		return nil, errors.New("it refers to another document; a schema may refer to its own parts only")
	}
	return nil, errors.New(strings.ReplaceAll(err.Error(), schemaURL, ""))
}

// maxProblems limits the problems that one request lists.
const maxProblems = 50

// leaves returns one problem for each error without a more specific cause, with its
// place in the instance below at.
func leaves(e *jsonschema.ValidationError, at string) []domain.Problem {
	if len(e.Causes) > 0 {
		var all []domain.Problem
		for _, cause := range e.Causes {
			if len(all) < maxProblems {
				all = append(all, leaves(cause, at)...)
			}
		}
		return all[:min(len(all), maxProblems)]
	}
	place := at
	for _, token := range e.InstanceLocation {
		place += "/" + domain.EscapePointer(token)
	}
	each := func(names []string, code, detail string) []domain.Problem {
		var all []domain.Problem
		for _, name := range names {
			all = append(all, domain.Problem{Pointer: place + "/" + domain.EscapePointer(name), Code: code, Detail: detail})
		}
		return all
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		return each(k.Missing, "required", "is required")
	case *kind.AdditionalProperties:
		return each(k.Properties, "unknown_member", "there is no such parameter")
	}
	code := "schema"
	if path := e.ErrorKind.KeywordPath(); len(path) > 0 {
		code = path[len(path)-1]
	}
	return []domain.Problem{{Pointer: place, Code: code, Detail: jsonvalue.Abbreviate(e.ErrorKind.LocalizedString(message.NewPrinter(language.English)), 300)}}
}
