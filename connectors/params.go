package connectors

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/seed677028b5/integrations/connectors/jsonschema"
	"github.com/seed677028b5/integrations/connectors/jsonvalue"

	"github.com/seed677028b5/integrations/domain"
)

// checkParams returns what is wrong with the parameters by the endpoint's
// schema. A schema that can't be compiled is a fault: it was accepted once.
func (o *outbound) checkParams(ctx context.Context, e domain.Endpoint, params map[string]any) ([]domain.Problem, *fault) {
	if document := strings.TrimSpace(string(e.InputSchema)); document == "" || document == "{}" {
		return nil, nil
	}
	problems, err := o.schemas.Validate(ctx, e.InputSchema, params, "/params")
	switch {
	case errors.Is(err, jsonschema.ErrNotSchema):
		return nil, misconfigured("The input_schema of this endpoint is not a JSON Schema.")
	case err != nil:
		return nil, misconfigured("The input_schema of this endpoint takes too long to check: its references, lists or patterns multiply.")
	}
	return problems, nil
}

func paramProblem(name, code, detail string) domain.Problem {
	return domain.Problem{Pointer: "/params/" + jsonvalue.PointerToken(name), Code: code, Detail: detail}
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
