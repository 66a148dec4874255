package connectors

import (
	"context"

	"github.com/seed677028b5/integrations/connectors/reshape"
	"github.com/seed677028b5/integrations/domain"
)

// Reshape runs a JSON answer through the steps of an endpoint, as a call does with what an upstream
// answered, and calls nobody. What fails is in the result as a sentence; it then has the steps
// before.
func Reshape(ctx context.Context, e domain.Endpoint, status int, answer any) domain.CallResult {
	got, err := reshape.Run(ctx, e, reshape.Response{Status: status, Value: answer, IsJSON: true})
	result := domain.CallResult{StatusCode: status, RawResponse: answer, AfterFilter: got.Filtered, AfterMapping: got.Mapped, FinalResult: got.Final}
	if err != nil {
		result.ErrorCode, result.Error = domain.CallUpstreamError, "The answer could not be shaped: "+err.Error()+"."
	}
	return result
}
