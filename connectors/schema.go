package connectors

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/seed677028b5/integrations/domain"
)

// schemaURL names the one document that a schema may refer to: itself.
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
	work     *work
}

// validate holds the schema against params. It ends with ctx, with errTooMuch.
func (s *schema) validate(ctx context.Context, params map[string]any) error {
	return s.work.bounded(ctx, maxValidateWork, func() error {
		s.work.charge(entry(s.compiled))
		return s.compiled.Validate(params) //nolint:wrapcheck // taken apart by the caller
	})
}

// compileSchema compiles a JSON Schema; 2020-12 unless it says otherwise.
// What it costs is bounded, and it ends with ctx.
func compileSchema(ctx context.Context, data []byte) (*schema, error) {
	if marks(data) > maxSchemaValues {
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
	budget := &work{}
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
	case errors.Is(err, errTooMuch):
		return nil, errors.New("its patterns take too long")
	}
	var (
		invalid *jsonschema.SchemaValidationError
		load    *jsonschema.LoadURLError
		broken  *jsonschema.ValidationError
	)
	switch {
	case errors.As(err, &invalid) && errors.As(invalid.Err, &broken):
		var told []string
		for _, p := range leaves(broken, "") {
			told = append(told, fmt.Sprintf("at %q: %s", p.Pointer, p.Detail))
		}
		return nil, errors.New(strings.Join(told, "; "))
	case errors.As(err, &load):
		return nil, errors.New("it refers to another document; a schema may refer to its own parts only")
	}
	return nil, errors.New(strings.ReplaceAll(err.Error(), schemaURL, ""))
}

// mostProblems is how many problems of one request are told.
const mostProblems = 50

// leaves returns one problem for each error that has no finer cause, with its
// place in the instance below at.
func leaves(e *jsonschema.ValidationError, at string) []domain.Problem {
	if len(e.Causes) > 0 {
		var all []domain.Problem
		for _, cause := range e.Causes {
			if len(all) < mostProblems {
				all = append(all, leaves(cause, at)...)
			}
		}
		return all[:min(len(all), mostProblems)]
	}
	place := at
	for _, token := range e.InstanceLocation {
		place += "/" + pointerToken(token)
	}
	each := func(names []string, code, detail string) []domain.Problem {
		var all []domain.Problem
		for _, name := range names {
			all = append(all, domain.Problem{Pointer: place + "/" + pointerToken(name), Code: code, Detail: detail})
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
	return []domain.Problem{{Pointer: place, Code: code, Detail: short(e.ErrorKind.LocalizedString(message.NewPrinter(language.English)))}}
}

// short keeps a sentence that may quote a parameter from being a page.
func short(s string) string {
	const most = 300
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

// pointerToken escapes a name for a JSON pointer (RFC 6901, 3).
func pointerToken(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}
