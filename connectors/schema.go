package connectors

import (
	"bytes"
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

// mostChecks is how many schemas may be held against the parameters of one
// call: a few lines of references to references make billions.
const mostChecks = 500_000

// schemaMeter stands in every schema as a keyword that nobody wrote, and
// counts. The validator has no way to be stopped, so beyond the limit it panics
// with errTooMuch.
type schemaMeter struct{ left int }

// Validate implements jsonschema.SchemaExt.
func (m *schemaMeter) Validate(*jsonschema.ValidatorContext, any) {
	if m.left--; m.left < 0 {
		panic(errTooMuch)
	}
}

// schema is a compiled JSON Schema. One call uses it at a time.
type schema struct {
	compiled *jsonschema.Schema
	meter    *schemaMeter
}

// validate holds the schema against params.
func (s *schema) validate(params map[string]any) (err error) {
	s.meter.left = mostChecks
	defer func() {
		if stopped := recover(); stopped != nil {
			err = errTooMuch
		}
	}()
	return s.compiled.Validate(params) //nolint:wrapcheck // taken apart by the caller
}

// compileSchema compiles a JSON Schema; 2020-12 unless it says otherwise.
func compileSchema(data []byte) (*schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, errors.New("it is not JSON")
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	c.DefaultDraft(jsonschema.Draft2020)
	meter := &schemaMeter{}
	c.RegisterVocabulary(&jsonschema.Vocabulary{URL: "urn:integrations:meter", Compile: func(*jsonschema.CompilerContext, map[string]any) (jsonschema.SchemaExt, error) {
		return meter, nil
	}})
	c.AssertVocabs()
	if err := c.AddResource(schemaURL, document); err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	compiled, err := c.Compile(schemaURL)
	if err == nil {
		return &schema{compiled, meter}, nil
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
