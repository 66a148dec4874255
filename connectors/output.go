package connectors

import (
	"context"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

// checkOutput puts the result of a call into it as what the output_schema of its endpoint
// promises, or why it is not that.
func (c *caller) checkOutput(ctx context.Context, result *domain.CallResult, e domain.Endpoint) {
	if len(e.OutputSchema) == 0 {
		return
	}
	var value any
	if result.Tool != nil && result.Tool.Structured != nil {
		value = result.Tool.Structured
	} else if decoded, _, crowded := decodeWithin(ctx, []byte(result.FinalResult), false); crowded == nil {
		value = decoded
	}
	object, isObject := value.(map[string]any)
	if !isObject {
		result.Unfit = []domain.Problem{{Pointer: "", Code: "type", Detail: "must be an object, and is " + jsonvalue.Abbreviate(result.FinalResult, 100)}}
		return
	}
	problems, err := c.schemas.Validate(ctx, e.OutputSchema, object, "")
	switch {
	case err != nil:
		result.Unfit = []domain.Problem{{Pointer: "", Code: "schema", Detail: "can't be checked: the output_schema of the endpoint takes too long, or is none"}}
	case len(problems) > 0:
		result.Unfit = problems
	default:
		result.Structured = object
	}
}
