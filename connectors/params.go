package connectors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"github.com/seed677028b5/integrations/domain"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// schemaURL names the one document that a schema may refer to: itself.
const schemaURL = "schema:///input_schema"

// noLoader keeps a schema from reading files and calling out through $ref.
type noLoader struct{}

// Load always fails.
func (noLoader) Load(string) (any, error) {
	return nil, errors.New("a schema may refer to its own parts only")
}

// compileSchema compiles a JSON Schema; 2020-12 unless it says otherwise.
func compileSchema(data []byte) (*jsonschema.Schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, errors.New("it is not JSON")
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource(schemaURL, document); err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	schema, err := c.Compile(schemaURL)
	if err == nil {
		return schema, nil
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

// checkParams returns what is wrong with the parameters by the endpoint's
// schema. A schema that can't be compiled is a fault: it was accepted once.
func checkParams(e domain.Endpoint, params map[string]any) ([]domain.Problem, *fault) {
	if document := strings.TrimSpace(string(e.InputSchema)); document == "" || document == "{}" {
		return nil, nil
	}
	schema, err := compileSchema(e.InputSchema)
	if err != nil {
		return nil, misconfigured("The input_schema of this endpoint is not a JSON Schema.")
	}
	if params == nil {
		params = map[string]any{}
	}
	var broken *jsonschema.ValidationError
	if errors.As(schema.Validate(params), &broken) {
		return leaves(broken, "/params"), nil
	}
	return nil, nil
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

func paramProblem(name, code, detail string) domain.Problem {
	return domain.Problem{Pointer: "/params/" + pointerToken(name), Code: code, Detail: detail}
}

// refuseParams is the error that lists problems, each once.
func refuseParams(problems []domain.Problem) error {
	var unique []domain.Problem
	for _, p := range problems {
		if !slices.ContainsFunc(unique, func(u domain.Problem) bool { return u.Pointer == p.Pointer && u.Code == p.Code }) {
			unique = append(unique, p)
		}
	}
	return domain.RefuseAll(unique)
}

// scalar returns a parameter as the text it travels as; a number is unchanged.
func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case json.Number:
		return v.String(), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case int:
		return strconv.Itoa(v), true
	}
	return "", false
}
