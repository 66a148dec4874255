package connectors

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/connectors/jsonschema"
	"github.com/seed677028b5/integrations/domain"
)

// checkParams returns what is wrong with parameters by a schema. One that can't be
// compiled is an error: it was accepted once.
func (c *caller) checkParams(ctx context.Context, schema []byte, params map[string]any) ([]domain.Problem, *callerror.Error) {
	if document := strings.TrimSpace(string(schema)); document == "" || document == "{}" {
		return nil, nil
	}
	problems, err := c.schemas.Validate(ctx, schema, params, "/params")
	switch {
	case errors.Is(err, jsonschema.ErrNotSchema):
		return nil, callerror.Misconfigured("The input_schema of this endpoint is not a JSON Schema.")
	case err != nil:
		return nil, callerror.Misconfigured("The input_schema of this endpoint takes too long to check: its references, lists or patterns multiply.")
	}
	return problems, nil
}

func paramProblem(name, code, detail string) domain.Problem {
	return domain.Problem{Pointer: "/params/" + domain.EscapePointer(name), Code: code, Detail: detail}
}

// refuseParams returns the error that lists problems, each once.
func refuseParams(problems []domain.Problem) error {
	var unique []domain.Problem
	for _, p := range problems {
		if !slices.ContainsFunc(unique, func(u domain.Problem) bool { return u.Pointer == p.Pointer && u.Code == p.Code }) {
			unique = append(unique, p)
		}
	}
	return domain.RefuseAll(unique)
}
