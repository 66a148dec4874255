package commands

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
)

// TestEndpoint calls one endpoint of an integration, enabled or not, with params
// as its parameters. What goes wrong outside is told in the result.
func (s *Service) TestEndpoint(ctx context.Context, by Caller, id domain.ID, endpoint string, params map[string]any, dryRun bool) (domain.CallResult, error) {
	i, err := s.callable(ctx, by, id)
	if err != nil {
		return domain.CallResult{}, err
	}
	e, err := i.Endpoint(endpoint)
	if err != nil {
		return domain.CallResult{}, err
	}
	return s.Connectors.Call(ctx, domain.Call{
		Integration: i, Endpoint: e, Params: params, DryRun: dryRun, Keyring: s.keyring(i.Owner(), nil),
	})
}
